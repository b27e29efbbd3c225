"""Operations on rows, heaps and search trees of elements, traced after each one.

All three are kept here, because they share the loop over operations and a kernel may call its own module's only.
An element is a node; a structure holds each at most once.
"""

from __future__ import annotations

import numpy as np

from tasks.kernel import kernel

ROW, HEAP, TREE = range(3)
"""Structures."""
INSERT, REMOVE, QUERY = range(3)
"""Roles of operations."""
ABSENT, INNER, FRONT, BACK, ONLY = range(5)
"""Places in a row."""
ROOT, LEFT, RIGHT = 1, 2, 3
"""Places in a heap or a tree, beside `ABSENT`."""

_NIL = -1
_START, _COUNT = 0, 1  # what `extent` holds: where a row starts or what the root of a tree is, and how many there are


@kernel
def _before(key, i, j):
    """Whether element i comes before j: by key, equal ones by number."""
    return key[i] < key[j] or (key[i] == key[j] and i < j)


@kernel
def _row(role, back, element, slots, extent, modified):
    """One operation on a row, a ring of slots; returns the element removed or asked for."""
    n, start, count = len(slots), extent[_START], extent[_COUNT]
    if role == INSERT:
        at = (start + count) % n if back else (start - 1) % n
        slots[at] = element
        modified[element] = True
        if back and count > 0:
            modified[slots[(at - 1) % n]] = True
        extent[_START] = start if back else at
        extent[_COUNT] += 1
        return _NIL
    if count == 0:
        return _NIL
    at = (start + count - 1) % n if back else start
    if role == REMOVE:
        modified[slots[at]] = True
        if back and count > 1:
            modified[slots[(at - 1) % n]] = True
        extent[_START] = start if back else (start + 1) % n
        extent[_COUNT] -= 1
    return slots[at]


@kernel
def _show_row(slots, extent, pointer, place):
    """Every element's pointer to the next behind it, and its place."""
    n, start, count = len(slots), extent[_START], extent[_COUNT]
    for i in range(n):
        pointer[i] = i
        place[i] = ABSENT
    for k in range(count):
        element = slots[(start + k) % n]
        if k < count - 1:
            pointer[element] = slots[(start + k + 1) % n]
        place[element] = INNER
        if k == 0:
            place[element] = FRONT if count > 1 else ONLY
        elif k == count - 1:
            place[element] = BACK


@kernel
def _sift(k, key, slots, count):
    """Exchange the element in slot k with those above it, then with those below it, until order holds."""
    while k > 0 and _before(key, slots[k], slots[(k - 1) // 2]):
        above = (k - 1) // 2
        slots[k], slots[above] = slots[above], slots[k]
        k = above
    while True:
        least = k
        for below in range(2 * k + 1, min(2 * k + 3, count)):
            if _before(key, slots[below], slots[least]):
                least = below
        if least == k:
            break
        slots[k], slots[least] = slots[least], slots[k]
        k = least


@kernel
def _heap(role, element, key, slots, extent, modified):
    """One operation on a binary heap; returns the element extracted or asked for."""
    count = extent[_COUNT]
    if role != INSERT and count == 0:
        return _NIL
    least = slots[0] if count > 0 else element
    if role == QUERY:
        return least
    old = slots[:count].copy()
    if role == INSERT:
        slots[count] = element
        extent[_COUNT] += 1
        _sift(count, key, slots, count + 1)
    else:
        extent[_COUNT] -= 1
        slots[0] = slots[count - 1]
        _sift(0, key, slots, count - 1)
        modified[least] = True
    after = extent[_COUNT]
    for k in range(after):
        if k >= count or old[k] != slots[k]:
            modified[slots[k]] = True
            for below in range(2 * k + 1, min(2 * k + 3, after)):
                modified[slots[below]] = True
    return _NIL if role == INSERT else least


@kernel
def _show_heap(slots, extent, pointer, place):
    """Every element's pointer to the one in the slot above, and its place."""
    for i in range(len(slots)):
        pointer[i] = i
        place[i] = ABSENT
    for k in range(extent[_COUNT]):
        if k == 0:
            place[slots[k]] = ROOT
        else:
            pointer[slots[k]] = slots[(k - 1) // 2]
            place[slots[k]] = LEFT if k % 2 == 1 else RIGHT


@kernel
def _transplant(old, new, pointer, child, extent, modified):
    """Put a subtree, or nothing, where another is (Cormen et al., 2009, section 12.3)."""
    above = pointer[old]
    if above == old:
        extent[_START] = new
    else:
        child[0 if child[0, above] == old else 1, above] = new
    if new != _NIL:
        pointer[new] = new if above == old else above
        modified[new] = True


@kernel
def _adopt(side, above, below, pointer, child, modified):
    """Make an element another's child."""
    child[side, above] = below
    pointer[below] = above
    modified[below] = True


@kernel
def _delete(element, pointer, child, extent, modified):
    """Take an element out of a search tree; of two children the right one's least takes its place."""
    if child[0, element] == _NIL or child[1, element] == _NIL:
        new = child[1, element] if child[0, element] == _NIL else child[0, element]
        _transplant(element, new, pointer, child, extent, modified)
    else:
        heir = child[1, element]
        while child[0, heir] != _NIL:
            heir = child[0, heir]
        if pointer[heir] != element:
            _transplant(heir, child[1, heir], pointer, child, extent, modified)
            _adopt(1, heir, child[1, element], pointer, child, modified)
        _transplant(element, heir, pointer, child, extent, modified)
        _adopt(0, heir, child[0, element], pointer, child, modified)
    pointer[element] = element
    child[:, element] = _NIL
    modified[element] = True
    extent[_COUNT] -= 1


@kernel
def _tree(role, element, key, pointer, place, child, extent, modified):
    """One operation on a search tree; returns where the search for the element ends, before anything changes."""
    last, side, node = _NIL, 0, extent[_START]
    while node != _NIL and last != element:
        last, side = node, 0 if _before(key, element, node) else 1
        node = child[side, node]
    if role == INSERT and last != element:
        if last == _NIL:
            extent[_START] = element
        else:
            _adopt(side, last, element, pointer, child, modified)
        modified[element] = True
        extent[_COUNT] += 1
        place[element] = ROOT
    elif role == REMOVE and last == element:
        _delete(element, pointer, child, extent, modified)
        place[element] = ABSENT
    for i in range(len(place)):
        if place[i] != ABSENT:
            above = pointer[i]
            place[i] = ROOT if above == i else LEFT if child[0, above] == i else RIGHT
    return last


@kernel
def _drawn_kind(draws, shares, roles, count, n):
    """The kind of a random operation: never a removal or query from nothing, nor an insertion into what is full."""
    inserts, queries = shares[0], shares[1]
    role = QUERY if draws[0] < queries else REMOVE
    if count == 0 or (count < n and queries <= draws[0] < queries + (1.0 - queries) * inserts):
        role = INSERT
    ways = 0
    for other in roles:
        ways += other == role
    rank = int(draws[1] * ways)
    for kind in range(len(roles)):
        if roles[kind] == role:
            if rank == 0:
                return kind
            rank -= 1
    return _NIL


@kernel
def _drawn_element(draw, structure, role, place, count):
    """A random element that the operation may name: not held to insert, held to remove, any to look for."""
    n = len(place)
    if structure != TREE and role != INSERT:
        return _NIL
    if role == QUERY:
        return int(draw * n)
    rank = int(draw * (n - count if role == INSERT else count))
    for i in range(n):
        if (place[i] == ABSENT) == (role == INSERT):
            if rank == 0:
                return i
            rank -= 1
    return _NIL


@kernel
def run(structure, roles, backs, kinds, elements, draws, shares, key, counts, sizes):
    """Run operations, given or drawn.

    Args:
        structure: `ROW`, `HEAP` or `TREE`.
        roles: of each kind of operation, int64 `[kinds]`.
        backs: whether each kind is about the back of a row, bool `[kinds]`.
        kinds: of each operation, from 1 on, int8 `[T, B]`; written where they are drawn.
        elements: that operations name, int64 `[T, B]`, -1 for none; written where they are drawn.
        draws: from U[0, 1), float64 `[3, B, T]`: for role, kind and element; T is 0 if operations are given.
        shares: of insertions among changes, and of queries among all operations, float64 `[2]`.
        key: float32 `[B, N]`.
        counts: operations of each sample, int64 `[B]`.
        sizes: nodes of each sample, int64 `[B]`.

    Returns:
        Pointers int32, places int8 and modified bool, each `[T + 1, B, N]`; answers int32 `[T, B]`, -1 for none;
        whether a tree held the element before the operation, bool `[T, B]`; step and sample of an element that is
        inserted though it is there, int64 `[2]`, or -1.
    """
    steps, batch = kinds.shape
    nodes = key.shape[1]
    pointers = np.zeros((steps + 1, batch, nodes), np.int32)
    places = np.zeros((steps + 1, batch, nodes), np.int8)
    modified = np.zeros((steps + 1, batch, nodes), np.bool_)
    answer = np.zeros((steps, batch), np.int32)
    found = np.zeros((steps, batch), np.bool_)
    fault = np.full(2, _NIL)
    for b in range(batch):
        n = sizes[b]
        pointer = np.arange(n)
        place = np.zeros(n, np.int8)
        slots = np.zeros(n, np.int64)
        child = np.full((2, n), _NIL)
        extent = np.array([_NIL if structure == TREE else 0, 0])
        pointers[0, b, :n] = pointer
        for t in range(counts[b]):
            if draws.shape[2] > 0:
                kind = _drawn_kind(draws[:, b, t], shares, roles, extent[_COUNT], n)
                kinds[t, b] = kind + 1
                elements[t, b] = _drawn_element(draws[2, b, t], structure, roles[kind], place, extent[_COUNT])
            kind, element = kinds[t, b] - 1, elements[t, b]
            role, marks = roles[kind], modified[t + 1, b]
            there = element != _NIL and place[element] != ABSENT
            found[t, b] = there
            if structure == TREE:
                answer[t, b] = _tree(role, element, key[b], pointer, place, child, extent, marks)
            elif there:
                fault[0], fault[1] = t, b
                break
            elif structure == ROW:
                answer[t, b] = _row(role, backs[kind], element, slots, extent, marks)
                _show_row(slots, extent, pointer, place)
            else:
                answer[t, b] = _heap(role, element, key[b], slots, extent, marks)
                _show_heap(slots, extent, pointer, place)
            pointers[t + 1, b, :n] = pointer
            places[t + 1, b, :n] = place
    return pointers, places, modified, answer, found, fault
