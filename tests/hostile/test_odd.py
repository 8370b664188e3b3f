"""Real files that break readers, and commands without a socket, through the sandbox."""

import pytest

from .test_media import outcomes, wrong_with


@pytest.mark.real
@pytest.mark.hostile("odd real files through the sandbox")
def test_odd_files_are_read_as_without_a_sandbox(data_dir, figures):
    """What comes out is the same, and nothing of it is a sandbox that is too tight."""
    paths = sorted(p for p in (data_dir / "odd").iterdir() if p.suffix not in (".csv", ".md"))
    assert len(paths) > 80
    # Of one, 21,766 frames in 4K, only that it is well under way when its time is up.
    jobs = [(path,) for path in paths if path.stat().st_size < 30 * 2**20]
    confined = dict(_read(jobs))
    trusted = dict(_read(jobs, limits=None))
    for path, made in confined.items():
        same = made == trusted[path]
        figures.count(None if same else f"{path.name}: {made} and not {trusted[path]}")
    for outcome in outcomes(jobs[:3]):
        figures.note(f"looked at again: {wrong_with(outcome.reply, figures)}")


def _read(jobs, **options):
    for outcome in outcomes(jobs, deadline=900.0, **options):
        reply = outcome.reply
        if isinstance(reply, Exception):
            yield outcome.job[0], str(reply)
        elif reply.header["kind"] == "failed":
            yield outcome.job[0], reply.header["message"]
        else:
            yield outcome.job[0], (len(reply.arrays["seconds"]), reply.arrays["features"].sum())
