"""What `make release` refuses; all else of it needs an index of packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.packaging.clean import copy


def test_a_tree_with_changes_is_not_released(tmp_path: Path):
    copy([".ci/release"], tmp_path)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    done = subprocess.run(["bash", tmp_path / ".ci" / "release"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "make release: there are changes that are not committed. Commit or stash them, then call it again.\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ci", ".git"]
