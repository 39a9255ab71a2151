r"""The Merkle tree of RFC 9162 2.1 (as in RFC 6962) with SHA-256: roots, inclusion and consistency proofs.

A leaf is SHA-256(0x00 ‖ record), a node SHA-256(0x01 ‖ left ‖ right). The left subtree of n leaves has the largest
power of two below n, so the tree of five leaves is

            root
           /    \
         abcd    e        inclusion proof of c:       d, ab, e   hash c with d, ab with that, that with e: the root
        /    \            consistency proof, 3 to 5:  c, d, ab, e   rebuilds both roots from the same subtrees
       ab    cd
      /  \  /  \
      a  b  c  d

and a subtree that is full, like ``abcd``, never changes again. So the database stores the leaves (level 0) and the root
of every full group of 256 hashes one level up: level 1 has the roots of 256 leaves each, level 2 of 65,536 (the tiles
of C2SP tlog-tiles, of height 8). Everything else is computed when asked for: a proof among sixteen million leaves reads
at most a few groups.

Pure: a tree reads stored hashes through the function that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256

WIDTH = 256
"""Hashes of one level whose root is one hash of the next stored level."""

_HEIGHT = 8
_TILES = 1024
"""Groups that a tree holds in memory: 8 MiB."""

EMPTY = sha256().digest()
"""The root of a tree without leaves (RFC 9162 2.1.1)."""

Fetch = Callable[[int, int, int], Sequence[bytes]]
"""(level, first, count) → so many stored hashes: leaves at level 0, roots of 256**n leaves at level n."""


def leaf_hash(record: bytes) -> bytes:
    """Returns the hash of a leaf (RFC 9162 2.1.1)."""
    return sha256(b"\0" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the hash of a node with two children (RFC 9162 2.1.1)."""
    return sha256(b"\1" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Returns the root over hashes of one level; an odd one at the right end moves up as it is."""
    if not hashes:
        return EMPTY
    level = list(hashes)
    while len(level) > 1:
        pairs = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) - len(level) % 2 :]
    return level[0]


def full_subtrees(fetch: Fetch, size: int, leaves: Sequence[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yields what to store above new leaves of a tree of ``size``: (level, number, hash), level from 1.

    ``fetch`` gives what is stored already: of each level, at most the 255 hashes of the group that is not full yet.
    """
    level, fresh = 0, list(leaves)
    while size % WIDTH + len(fresh) >= WIDTH:
        pending = [*fetch(level, size - size % WIDTH, size % WIDTH), *fresh] if size % WIDTH else fresh
        level, size = level + 1, size // WIDTH
        full = len(pending) // WIDTH
        fresh = [root_of(pending[i * WIDTH : (i + 1) * WIDTH]) for i in range(full)]
        for number, root in enumerate(fresh, start=size):
            yield level, number, root


class Tree:
    """The tree of the first ``size`` leaves of a log."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        self.size = size
        self._tile = lru_cache(maxsize=_TILES)(self._fetch)
        self._fetched = fetch

    def root(self) -> bytes:
        """Returns the root hash."""
        return self._range(0, self.size) if self.size else EMPTY

    def inclusion(self, position: int) -> list[bytes]:
        """Returns the audit path of a leaf (RFC 9162 2.1.3.1). Raises IndexError for a position beyond the size."""
        if not 0 <= position < self.size:
            raise IndexError(f"position {position} is not in a tree of {self.size}")
        path: list[bytes] = []
        start, end = 0, self.size
        while end - start > 1:
            middle = start + _split(end - start)
            if position < middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, old: int) -> list[bytes]:
        """Proves that the tree of size ``old`` is the beginning of this one (RFC 9162 2.1.4.1). Raises IndexError."""
        if not 0 <= old <= self.size:
            raise IndexError(f"a tree of {old} is not the beginning of one of {self.size}")
        proof: list[bytes] = []
        start, end, known = 0, self.size, True
        if old in (0, self.size):
            return proof
        while old != end:
            middle = start + _split(end - start)
            if old <= middle:
                proof.append(self._range(middle, end))
                end = middle
            else:
                proof.append(self._range(start, middle))
                start, known = middle, False
        if not known:
            proof.append(self._range(start, end))
        return proof[::-1]

    def _range(self, start: int, end: int) -> bytes:
        """Returns the root of the leaves from ``start`` to before ``end``; a node of the tree begins at ``start``."""
        size = end - start
        height = size.bit_length() - 1
        if size == 1 << height:
            return self._node(height, start >> height)
        middle = start + _split(size)
        return node_hash(self._range(start, middle), self._range(middle, end))

    def _node(self, height: int, index: int) -> bytes:
        """Returns the root of the 2**height leaves from index * 2**height, all of which exist."""
        level, above = divmod(height, _HEIGHT)
        first = index << above
        offset = first % WIDTH
        return root_of(self._tile(level, first // WIDTH)[offset : offset + (1 << above)])

    def _fetch(self, level: int, number: int) -> Sequence[bytes]:
        stored = self.size >> (_HEIGHT * level)
        return self._fetched(level, number * WIDTH, min(WIDTH, stored - number * WIDTH))


def _split(size: int) -> int:
    """Returns the largest power of two below a size of at least two."""
    return 1 << ((size - 1).bit_length() - 1)


def root_from_inclusion(leaf: bytes, position: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Returns the root that an audit path leads to (RFC 9162 2.1.3.2); None if the path is invalid."""
    if not 0 <= position < size:
        return None
    node, last, root = position, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node % 2 or node == last:
            root = node_hash(sibling, root)
            while node % 2 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


def verify_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Checks a proof that the old tree is the beginning of the new one (RFC 9162 2.1.4.2)."""
    if old in (0, size):
        return not proof and (root if old else EMPTY) == old_root
    if not 0 < old < size or not proof:
        return False
    hashes = list(proof) if old & (old - 1) else [old_root, *proof]
    node, last = old - 1, size - 1
    while node % 2:
        node, last = node >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node % 2 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while node % 2 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == root


class TreeBuilder:
    """Builds a tree leaf by leaf, holding only what its root needs: one hash for each power of two."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def push(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Adds a leaf; returns the hashes stored by ``full_subtrees`` that it completes."""
        complete: list[tuple[int, int, bytes]] = []
        index, height, node = self.size, 0, leaf
        while index % 2:
            node = node_hash(self._roots.pop(), node)
            index, height = index // 2, height + 1
            if height % _HEIGHT == 0:
                complete.append((height // _HEIGHT, index, node))
        self._roots.append(node)
        self.size += 1
        return complete

    def root(self) -> bytes:
        """Returns the root over the leaves so far."""
        if not self._roots:
            return EMPTY
        *others, root = self._roots
        for other in reversed(others):
            root = node_hash(other, root)
        return root
