"""From a vector back to frames."""

import torch

from soravec.models.decoder import SequenceDecoder


def test_it_begins_halfway_between_the_last_frame_and_the_average():
    torch.manual_seed(0)
    last, average = torch.randn(2, 5), torch.randn(2, 5)
    decoded = SequenceDecoder(3, 5, 8)(torch.randn(2, 3), last, average, torch.full((2, 4), 0.25))
    assert decoded.shape == (2, 4, 5)
    assert torch.allclose(decoded, ((last + average) / 2).unsqueeze(1).expand(-1, 4, -1))


def test_it_learns_how_near_the_last_frame_each_step_is():
    torch.manual_seed(0)
    decoder = SequenceDecoder(3, 5, 16)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.02)
    seconds = torch.tensor([0.0, 0.25, 0.25, 0.25]).expand(64, 4)
    share = torch.tensor([0.05, 0.4, 0.7, 0.9])[:, None]

    def missed():
        last, average = torch.randn(64, 5), torch.randn(64, 5)
        truth = torch.lerp(last.unsqueeze(1), average.unsqueeze(1), share)
        return (decoder(torch.zeros(64, 3), last, average, seconds) - truth).square().mean()

    for _ in range(300):
        optimizer.zero_grad()
        missed().backward()
        optimizer.step()
    with torch.no_grad():
        assert float(missed()) < 0.02  # at the outset 0.21
