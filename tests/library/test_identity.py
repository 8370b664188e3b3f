from soravec.library.identity import find_videos, video_identity


def test_a_copy_has_the_same_identity_and_a_change_another(tmp_path):
    data = bytes(range(256)) * 40_000  # 10 MB: hashed in blocks
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "b").write_bytes(data)
    changed = bytearray(data)
    changed[0] ^= 1
    (tmp_path / "c").write_bytes(bytes(changed))
    changed[0] ^= 1
    changed[-1] ^= 1
    (tmp_path / "d").write_bytes(bytes(changed))
    (tmp_path / "e").write_bytes(data + b"x")
    found = {name: video_identity(tmp_path / name) for name in "abcde"}
    assert found["a"] == found["b"]
    assert len(set(found.values())) == 4


def test_a_small_file_is_hashed_whole(tmp_path):
    data = bytearray(1000)
    (tmp_path / "a").write_bytes(data)
    data[500] = 1
    (tmp_path / "b").write_bytes(data)
    assert video_identity(tmp_path / "a") != video_identity(tmp_path / "b")


def test_folders_are_searched_for_video_and_named_files_always_taken(tmp_path):
    for name in ("b.MP4", "a.mkv", "notes.txt", ".hidden.mp4", "sub/c.webm", ".git/d.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [p.relative_to(tmp_path).as_posix() for p in find_videos([tmp_path])]
    assert found == ["a.mkv", "b.MP4", "sub/c.webm"]
    assert list(find_videos([tmp_path / "notes.txt"])) == [tmp_path / "notes.txt"]
    assert len(list(find_videos([tmp_path, tmp_path / "a.mkv"]))) == 3
