// Longest-prefix-match tries, with the behaviour of Linux's lpm_trie.c. A key is a prefix: its length in bits and its
// data, the most significant bit first.
//
//   node   +0 child for bit 0 | +4 child for bit 1 | +8 flags | +12 length | +16 data, padded | +valueOffset value
//
// Below a node lie longer prefixes that begin with its own; the first bit after that decides on which side. A node
// without a value (BRANCH) is there only where two prefixes part, so it always has two children, and there are fewer of
// them than nodes with values.
//
// Room for all nodes that can be is set aside, but not more than ROOM: Linux allocates them one by one and takes any
// max_entries. Memory that was never needed is never touched.
//
// Setting a key that exists puts a new node in the place of the old one, whose contents stay until it is taken again.

import { BpfMap } from '../layout';
import { copy } from './copy';
import { BPF_EXIST, BPF_NOEXIST, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC } from './errno';
import { HEADER, place, round8 } from './place';

/** Offsets in a node, and in a key, of which a node's is a copy. */
const FLAGS: usize = 8;
const KEY: usize = 12;
const DATA: usize = 4;

/** Bytes that are set aside for nodes, at most. */
const ROOM: u64 = 1 << 28;

/** Flag of a node without a value. */
const BRANCH: u32 = 1;

export function lpm_create(draft: BpfMap): usize {
  const valueOffset = round8(KEY + draft.keySize);
  draft.valueOffset = valueOffset as u32;
  const size = valueOffset + round8(draft.valueSize);
  const nodes = min<u64>(((draft.maxEntries as u64) << 1) + 2, max<u64>(ROOM / size, 2));
  const map = place(draft, sizeof<usize>(), nodes, size, false);
  if (map) changetype<BpfMap>(map).state = map + HEADER;
  return map;
}

/** Where the address of the root is: like a child's in a node. */
@inline function rootOf(header: BpfMap): usize {
  return header.state;
}

@inline function lengthOf(node: usize): u32 {
  return load<u32>(node, KEY);
}

@inline function isBranch(node: usize): bool {
  return (load<u32>(node, FLAGS) & BRANCH) != 0;
}

/** Bits of data. */
@inline function longest(header: BpfMap): u32 {
  return (header.keySize - (DATA as u32)) << 3;
}

/** Bit `index` of a key's data, which has more bits than that. */
@inline function bitOf(key: usize, index: u32): u32 {
  return load<u8>(key + (index >> 3), DATA) >> (7 - (index & 7)) & 1;
}

/** Where the address of the child on the side of `bit` is. */
@inline function childAt(node: usize, bit: u32): usize {
  return node + (bit << 2);
}

/** How many bits the prefixes of a node and a key have in common. */
function common(header: BpfMap, node: usize, key: usize): u32 {
  const limit = min(lengthOf(node), load<u32>(key));
  const size = header.keySize - (DATA as u32);
  const a = node + KEY + DATA;
  const b = key + DATA;
  let at: u32 = 0;
  for (; at + 4 <= size; at += 4) {
    if (at << 3 >= limit) return limit;
    const differ = load<u32>(a + at) ^ load<u32>(b + at);
    if (differ) return min(limit, (at << 3) + (clz(bswap(differ)) as u32));
  }
  for (; at << 3 < limit; at++) {
    const differ = (load<u8>(a + at) ^ load<u8>(b + at)) as u32;
    if (differ) return min(limit, (at << 3) + (clz(differ) as u32) - 24);
  }
  return limit;
}

/**
 * Where the address of the node is that stands at the key's place, or would: it has the key's prefix, or leads away from
 * it, or there is none yet.
 */
function locate(header: BpfMap, key: usize): usize {
  let at = rootOf(header);
  let node = load<usize>(at);
  while (node) {
    const length = lengthOf(node);
    if (length == load<u32>(key) || common(header, node, key) != length) break;
    at = childAt(node, bitOf(key, length));
    node = load<usize>(at);
  }
  return at;
}

/** Whether a node (or 0) stands for exactly this prefix and has a value. */
function holds(header: BpfMap, node: usize, key: usize): bool {
  if (!node || isBranch(node) || lengthOf(node) != load<u32>(key)) return false;
  return common(header, node, key) == lengthOf(node);
}

/** The value of the longest prefix that the key begins with, or 0. */
export function lpm_lookup(map: usize, key: usize): usize {
  const header = changetype<BpfMap>(map);
  const end = longest(header);
  if (load<u32>(key) > end) return 0;
  let found: usize = 0;
  let node = load<usize>(rootOf(header));
  while (node) {
    const length = lengthOf(node);
    if (common(header, node, key) < length) break;
    if (!isBranch(node)) found = node;
    if (length == end) break;
    node = load<usize>(childAt(node, bitOf(key, length)));
  }
  return found ? found + header.valueOffset : 0;
}

/** A node that nobody uses, with this key and without children. */
function take(header: BpfMap, key: usize, flags: u32): usize {
  let node = header.free;
  if (node) {
    header.free = load<usize>(node);
  } else {
    node = header.values + header.length;
    header.length += header.elementSize;
  }
  store<u64>(node, 0);
  store<u32>(node, flags, FLAGS);
  copy(node + KEY, key, header.keySize);
  return node;
}

function giveBack(header: BpfMap, node: usize): void {
  store<usize>(node, header.free);
  header.free = node;
}

/** Whether two nodes, as many as an update needs, can be taken. */
@inline function hasRoom(header: BpfMap): bool {
  if (header.length + 2 * header.elementSize <= header.capacity) return true;
  return header.free != 0 && load<usize>(header.free) != 0;
}

/** Why no key may be added, or 0. */
@inline function refusal(header: BpfMap, flags: u64): i32 {
  if (flags == BPF_EXIST) return -ENOENT;
  return header.count == header.maxEntries ? -ENOSPC : 0;
}

/**
 * Sets the value of a prefix: 0, -EINVAL (flags, or a prefix longer than the data), -ENOMEM, -EEXIST, -ENOENT or
 * -ENOSPC.
 */
export function lpm_update(map: usize, key: usize, value: usize, flags: u64): i32 {
  const header = changetype<BpfMap>(map);
  const length = load<u32>(key);
  if (flags > BPF_EXIST || length > longest(header)) return -EINVAL;
  if (!hasRoom(header)) return -ENOMEM;
  const at = locate(header, key);
  const old = load<usize>(at);
  const known = holds(header, old, key);
  if (known) {
    if (flags == BPF_NOEXIST) return -EEXIST;
  } else {
    const refused = refusal(header, flags);
    if (refused) return refused;
    header.count++;
  }
  const node = take(header, key, 0);
  copy(node + header.valueOffset, value, header.valueSize);
  if (!old) {
    store<usize>(at, node);
    return 0;
  }
  const shared = common(header, old, key);
  if (shared == lengthOf(old)) {
    // In its place: of the same prefix, with a value or without.
    store<u64>(node, load<u64>(old));
    store<usize>(at, node);
    giveBack(header, old);
  } else if (shared == length) {
    store<usize>(childAt(node, bitOf(old + KEY, shared)), old);
    store<usize>(at, node);
  } else {
    const branch = take(header, old + KEY, BRANCH);
    store<u32>(branch, shared, KEY);
    const side = bitOf(key, shared);
    store<usize>(childAt(branch, side), node);
    store<usize>(childAt(branch, side ^ 1), old);
    store<usize>(at, branch);
  }
  return 0;
}

/** Removes a prefix: 0, -EINVAL (longer than the data) or -ENOENT. */
export function lpm_delete(map: usize, key: usize): i32 {
  const header = changetype<BpfMap>(map);
  if (load<u32>(key) > longest(header)) return -EINVAL;
  // As locate, but it remembers the parent.
  let parentAt: usize = 0;
  let at = rootOf(header);
  let node = load<usize>(at);
  while (node) {
    const length = lengthOf(node);
    if (length == load<u32>(key) || common(header, node, key) != length) break;
    parentAt = at;
    at = childAt(node, bitOf(key, length));
    node = load<usize>(at);
  }
  if (!holds(header, node, key)) return -ENOENT;
  header.count--;
  const left = load<usize>(childAt(node, 0));
  const right = load<usize>(childAt(node, 1));
  if (left && right) {
    store<u32>(node, BRANCH, FLAGS);
    return 0;
  }
  const parent = parentAt ? load<usize>(parentAt) : 0;
  if (parent && isBranch(parent) && !left && !right) {
    // Nothing parts here any more: the other child takes the parent's place.
    const other = childAt(parent, 0) == at ? childAt(parent, 1) : childAt(parent, 0);
    store<usize>(parentAt, load<usize>(other));
    giveBack(header, parent);
  } else {
    store<usize>(at, left ? left : right);
  }
  giveBack(header, node);
  return 0;
}

/** The first node with a value in the order of lpm_next_key, at or below `node`. */
function first(node: usize): usize {
  let found = node;
  while (node) {
    found = node;
    const left = load<usize>(childAt(node, 0));
    node = left ? left : load<usize>(childAt(node, 1));
  }
  return found;
}

/**
 * Writes the prefix after the one at `key` to `next`: longer ones come before those that they begin with, and bit 0
 * before bit 1. The first for address 0, and for a prefix that is not there; -ENOENT after the last.
 */
export function lpm_next_key(map: usize, key: usize, next: usize): i32 {
  const header = changetype<BpfMap>(map);
  const root = load<usize>(rootOf(header));
  if (!root) return -ENOENT;
  let found: usize = 0;
  let known = false;
  if (key && load<u32>(key) <= longest(header)) {
    let node = root;
    while (node && !holds(header, node, key)) {
      const length = lengthOf(node);
      if (length >= load<u32>(key) || common(header, node, key) != length) break;
      // What comes after all that lies on this side: the other side, then the node itself, then what its parents say.
      const bit = bitOf(key, length);
      const right: usize = bit ? 0 : load<usize>(childAt(node, 1));
      if (right) found = first(right);
      else if (!isBranch(node)) found = node;
      node = load<usize>(childAt(node, bit));
    }
    known = holds(header, node, key);
  }
  if (!known) found = first(root);
  if (!found) return -ENOENT;
  copy(next, found + KEY, header.keySize);
  return 0;
}
