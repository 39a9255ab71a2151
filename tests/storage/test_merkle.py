from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.storage.chain.merkle import (
    EMPTY,
    Tree,
    full_subtrees,
    leaf_hash,
    root_from_inclusion,
    root_of,
    verify_consistency,
)

LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
"""The test vectors of the Certificate Transparency project, github.com/google/certificate-transparency."""

ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)

SIZES = (*range(1, 20), 255, 256, 257, 300, 511, 512, 1000, 65535, 65536, 65537, 66000)


class Store:
    """Hashes as the database has them, full_subtrees in parts."""

    def __init__(self) -> None:
        self.levels: dict[int, list[bytes]] = {0: []}

    def fetch(self, level: int, first: int, count: int) -> list[bytes]:
        found = self.levels[level][first : first + count]
        assert len(found) == count
        return found

    def append(self, leaves: list[bytes]) -> None:
        for level, number, root in list(full_subtrees(self.fetch, len(self.levels[0]), leaves)):
            stored = self.levels.setdefault(level, [])
            assert number == len(stored)
            stored.append(root)
        self.levels[0] += leaves

    def tree(self, size: int | None = None) -> Tree:
        return Tree(len(self.levels[0]) if size is None else size, self.fetch)


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


@pytest.fixture(scope="module")
def store() -> Store:
    store = Store()
    leaves, part = leaves_of(66_000), 1
    while leaves:  # parts of every size: a few rows, a whole group, several groups
        store.append(leaves[:part])
        leaves, part = leaves[part:], part * 3 % 1009
    return store


def mth(leaves: list[bytes]) -> bytes:
    """RFC 9162 2.1.1 to the letter, over hashes of leaves."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256().digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def test_the_vectors_of_certificate_transparency() -> None:
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]
    assert [root_of(leaves[:size]).hex() for size in range(1, 9)] == list(ROOTS)
    store = Store()
    store.append(leaves)
    assert [store.tree(size).root().hex() for size in range(1, 9)] == list(ROOTS)
    assert root_of([]) == store.tree(0).root() == EMPTY == mth([])


@pytest.mark.parametrize("size", SIZES)
def test_roots_are_as_the_rfc_defines_them(store: Store, size: int) -> None:
    leaves = store.levels[0][:size]
    assert store.tree(size).root() == root_of(leaves) == mth(leaves)


@pytest.mark.parametrize("size", SIZES)
def test_every_leaf_is_proved_to_be_included(store: Store, size: int) -> None:
    tree = store.tree(size)
    root, leaves = tree.root(), store.levels[0]
    for position in {*range(min(size, 20)), size // 2, size - 2, size - 1} - {-1}:
        path = tree.inclusion(position)
        assert root_from_inclusion(leaves[position], position, size, path) == root
        assert root_from_inclusion(leaves[position - 1], position, size, path) != root
        assert root_from_inclusion(leaves[position], position, size, [*path, root]) != root
        if path:
            assert root_from_inclusion(leaves[position], position, size, path[1:]) != root
        for other in (position - 1, position + 1, size):
            assert root_from_inclusion(leaves[position], other, size, path) != root


@pytest.mark.parametrize("size", SIZES)
def test_every_tree_is_proved_to_be_the_beginning_of_a_later_one(store: Store, size: int) -> None:
    tree = store.tree(size)
    root = tree.root()
    for old in {*range(min(size, 20) + 1), size // 2, size - 1, size}:
        proof, old_root = tree.consistency(old), store.tree(old).root()
        assert verify_consistency(old, old_root, size, root, proof)
        assert not verify_consistency(old, leaf_hash(b"x"), size, root, proof)
        assert not verify_consistency(old, old_root, size, leaf_hash(b"x"), proof) or old == 0
        assert not verify_consistency(old, old_root, size, root, [*proof, root])
        assert not verify_consistency(size + 1, root, size, root, [])


@given(st.data())
def test_proofs_are_read_from_few_hashes(data: Any) -> None:
    asked: list[int] = []

    def fetch(level: int, first: int, count: int) -> list[bytes]:
        asked.append(count)
        return [leaf_hash(b"x")] * count

    size = data.draw(st.integers(1, 10**9))
    tree = Tree(size, fetch)
    root = tree.root()
    position = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    tree.inclusion(position)
    tree.consistency(old)
    assert len(root) == 32
    assert len(asked) <= 3 * 4
    assert max(asked) <= 256


def test_what_is_not_in_the_tree_is_refused(store: Store) -> None:
    tree = store.tree(10)
    for position in (-1, 10):
        with pytest.raises(IndexError):
            tree.inclusion(position)
    for old in (-1, 11):
        with pytest.raises(IndexError):
            tree.consistency(old)
