// Which element of an LRU hash goes when room is needed: the lists of Linux's bpf_lru_list.c. On one CPU every list has
// the same elements in the same order as there after the same commands, so the same elements go.
//
// An element that is asked for is only marked. Marks are looked at when elements are needed: what is marked moves to the
// active list, what is not sinks through the inactive one, and its end goes. New elements wait in their CPU's pending list
// until that CPU needs more, and it fetches several at once: so this is "about the least recently used", as in Linux, and
// elements go before the map is full.
//
//   all CPUs     active, inactive, free     (BPF_F_NO_COMMON_LRU: each CPU has these three for itself)
//   each CPU     its free and its pending elements
//
// A node lies right before its element: +0 previous | +4 next | +8 list | +9 mark | +10 CPU. A list's head is the first
// half of a node; the newest comes first.

import { BpfMap } from '../layout';
import { BPF_F_NO_COMMON_LRU } from './types';

/** Bytes of a node. */
export const NODE: usize = 16;

const NEXT: usize = 4;
const LIST: usize = 8;
const MARK: usize = 9;
const CPU: usize = 10;

/** Bytes of a list's head. */
const HEAD: usize = 8;

// Which list a node is in. The first two are counted.
const ACTIVE: u8 = 0;
const INACTIVE: u8 = 1;
const FREE: u8 = 2;
const LOCAL_FREE: u8 = 3;
const LOCAL_PENDING: u8 = 4;

/** How many elements a CPU fetches and how many are looked at in one go, at most: of common lists, of a CPU's own. */
const COMMON_TARGET: u32 = 128;
const OWN_TARGET: u32 = 4;

/** The lists that all CPUs share, or one CPU's own. The heads come first: that of list `n` is at n * HEAD. */
@unmanaged class Lists {
  activePrevious: usize = 0;
  activeNext: usize = 0;
  inactivePrevious: usize = 0;
  inactiveNext: usize = 0;
  freePrevious: usize = 0;
  freeNext: usize = 0;
  /** Elements in the active and in the inactive list. */
  active: u32 = 0;
  inactive: u32 = 0;
  /** Where the next search for marks in the inactive list begins. */
  rotation: usize = 0;
  /** How many elements are fetched in one go. */
  target: u32 = 0;
  /** How many are looked at in one go. */
  scans: u32 = 0;
  /** The nodes that were never used are free too: the next of them, and where they end. */
  fresh: usize = 0;
  end: usize = 0;
  reserved: u32 = 0;
}

/** What a CPU has for itself beside common lists: the heads of its free and pending elements. */
@unmanaged class Local {
  freePrevious: usize = 0;
  freeNext: usize = 0;
  pendingPrevious: usize = 0;
  pendingNext: usize = 0;
  /** The CPU that it takes elements from next, when there are no others. */
  victim: u32 = 0;
  reserved: u32 = 0;
}

@inline function previousOf(node: usize): usize {
  return load<usize>(node);
}

@inline function nextOf(node: usize): usize {
  return load<usize>(node, NEXT);
}

@inline function isMarked(node: usize): bool {
  return load<u8>(node, MARK) != 0;
}

/** Marks an element as used. */
@inline export function lru_mark(element: usize): void {
  store<u8>(element - NODE, 1, MARK);
}

@inline function isEmpty(head: usize): bool {
  return nextOf(head) == head;
}

@inline function makeEmpty(head: usize): void {
  store<usize>(head, head);
  store<usize>(head, head, NEXT);
}

function unlink(node: usize): void {
  store<usize>(previousOf(node), nextOf(node), NEXT);
  store<usize>(nextOf(node), previousOf(node));
}

function linkFirst(head: usize, node: usize): void {
  const next = nextOf(head);
  store<usize>(node, head);
  store<usize>(node, next, NEXT);
  store<usize>(next, node);
  store<usize>(head, node, NEXT);
}

@inline function headOf(lists: Lists, list: u8): usize {
  return changetype<usize>(lists) + (list as usize) * HEAD;
}

@inline function localFree(local: Local): usize {
  return changetype<usize>(local);
}

@inline function localPending(local: Local): usize {
  return changetype<usize>(local) + HEAD;
}

// ---- the map's lists

@inline function hasOwnLists(header: BpfMap): bool {
  return (header.flags & BPF_F_NO_COMMON_LRU) != 0;
}

/** Bytes of all lists of a map. */
export function lru_size(flags: u32, cpus: u32): u64 {
  const own = (flags & BPF_F_NO_COMMON_LRU) != 0;
  return (own ? cpus : 1) * (offsetof<Lists>() as u64) + (own ? 0 : cpus) * (offsetof<Local>() as u64);
}

/** The lists of CPU `cpuId`, or those that all share. */
@inline function listsOf(header: BpfMap, cpuId: u32): Lists {
  return changetype<Lists>(header.state + (hasOwnLists(header) ? (cpuId as usize) * offsetof<Lists>() : 0));
}

@inline function localOf(header: BpfMap, cpuId: u32): Local {
  return changetype<Local>(header.state + offsetof<Lists>() + (cpuId as usize) * offsetof<Local>());
}

function initLists(lists: Lists, target: u32, scans: u32, fresh: usize, end: usize): void {
  for (let list = ACTIVE; list <= FREE; list++) makeEmpty(headOf(lists, list));
  lists.rotation = headOf(lists, INACTIVE);
  lists.target = target;
  lists.scans = scans;
  lists.fresh = fresh;
  lists.end = end;
}

/** Makes all elements of a new map free. Own lists get equal shares of max_entries, a multiple of the CPUs. */
export function lru_init(header: BpfMap): void {
  const nodes = header.values - NODE;
  const cpus = header.cpus;
  const share = header.maxEntries / cpus;
  if (hasOwnLists(header)) {
    const bytes = (share as usize) * header.elementSize;
    for (let cpu: u32 = 0; cpu < cpus; cpu++) {
      const from = nodes + (cpu as usize) * bytes;
      initLists(listsOf(header, cpu), OWN_TARGET, OWN_TARGET, from, from + bytes);
    }
    return;
  }
  const target = max<u32>(1, min<u32>(share >> 1, COMMON_TARGET));
  initLists(listsOf(header, 0), target, COMMON_TARGET, nodes, nodes + header.capacity);
  for (let cpu: u32 = 0; cpu < cpus; cpu++) {
    const local = localOf(header, cpu);
    makeEmpty(localFree(local));
    makeEmpty(localPending(local));
    local.victim = cpu;
  }
}

/** Takes an element out of the hash table that it is in. */
function evict(header: BpfMap, node: usize): void {
  const element = node + NODE;
  let at = header.buckets + ((load<u32>(element, 4) & header.bucketMask) << 2);
  while (load<usize>(at) != element) at = load<usize>(at);
  store<usize>(at, load<usize>(element));
  header.count--;
}

@inline function count(lists: Lists, list: u8, by: i32): void {
  if (list == ACTIVE) lists.active += by;
  else if (list == INACTIVE) lists.inactive += by;
}

/** Moves a node to the front of another list, or of its own; its mark goes. */
function move(lists: Lists, node: usize, list: u8, head: usize): void {
  if (node == lists.rotation) lists.rotation = previousOf(node);
  count(lists, load<u8>(node, LIST), -1);
  count(lists, list, 1);
  store<u8>(node, list, LIST);
  store<u8>(node, 0, MARK);
  unlink(node);
  linkFirst(head, node);
}

@inline function moveWithin(lists: Lists, node: usize, list: u8): void {
  move(lists, node, list, headOf(lists, list));
}

/** Active elements, from the oldest on: what is marked is new again, what is not becomes inactive. */
function rotateActive(lists: Lists): void {
  const head = headOf(lists, ACTIVE);
  const last = nextOf(head);
  let node = previousOf(head);
  for (let seen: u32 = 1; node != head; seen++) {
    const following = previousOf(node);
    moveWithin(lists, node, isMarked(node) ? ACTIVE : INACTIVE);
    if (node == last || seen == lists.scans) break;
    node = following;
  }
}

/** Inactive elements, from where the last search ended: what is marked becomes active. */
function rotateInactive(lists: Lists): void {
  const head = headOf(lists, INACTIVE);
  if (isEmpty(head)) return;
  let node = lists.rotation;
  let last = nextOf(node);
  if (last == head) last = nextOf(last);
  let following = head;
  for (let seen: u32 = 0; seen < lists.scans; ) {
    if (node == head) {
      node = previousOf(node);
      continue;
    }
    following = previousOf(node);
    if (isMarked(node)) moveWithin(lists, node, ACTIVE);
    if (node == last) break;
    node = following;
    seen++;
  }
  lists.rotation = following;
}

function rotate(lists: Lists): void {
  if (lists.inactive < lists.active) rotateActive(lists);
  rotateInactive(lists);
}

/**
 * Evicts up to `wanted` elements to the list `to`: the oldest inactive ones that are not marked, or a single one whatever
 * its mark when there is none of these.
 */
function shrink(header: BpfMap, lists: Lists, wanted: u32, to: u8, toHead: usize): void {
  const inactive = headOf(lists, INACTIVE);
  let evicted: u32 = 0;
  let node = previousOf(inactive);
  for (let seen: u32 = 1; node != inactive; seen++) {
    const following = previousOf(node);
    if (isMarked(node)) {
      moveWithin(lists, node, ACTIVE);
    } else {
      evict(header, node);
      move(lists, node, to, toHead);
      if (++evicted == wanted) break;
    }
    if (seen == lists.scans) break;
    node = following;
  }
  if (evicted) return;
  const head = isEmpty(inactive) ? headOf(lists, ACTIVE) : inactive;
  if (isEmpty(head)) return;
  node = previousOf(head);
  evict(header, node);
  move(lists, node, to, toHead);
}

/** A free node of the lists, in no list any more; 0 when there is none. */
function takeFree(header: BpfMap, lists: Lists): usize {
  const head = headOf(lists, FREE);
  let node = nextOf(head);
  if (node != head) {
    unlink(node);
    return node;
  }
  node = lists.fresh;
  if (node >= lists.end) return 0;
  lists.fresh += header.elementSize;
  const used = (lists.fresh + NODE - header.values) as u32;
  if (used > header.length) header.length = used;
  return node;
}

// ---- taking and giving back elements

/** Fills a CPU's free list: with free elements, and if these do not suffice by eviction. */
function refill(header: BpfMap, lists: Lists, local: Local): void {
  const pending = localPending(local);
  for (let node = previousOf(pending); node != pending; node = previousOf(pending)) {
    moveWithin(lists, node, isMarked(node) ? ACTIVE : INACTIVE);
  }
  rotate(lists);
  const free = localFree(local);
  for (let fetched: u32 = 0; fetched < lists.target; fetched++) {
    const node = takeFree(header, lists);
    if (!node) {
      shrink(header, lists, lists.target - fetched, LOCAL_FREE, free);
      return;
    }
    store<u8>(node, LOCAL_FREE, LIST);
    linkFirst(free, node);
  }
}

/** A node of another CPU (or of this one): one that is free, or its oldest pending one, better without a mark. */
function steal(header: BpfMap, local: Local): usize {
  const free = localFree(local);
  let node = nextOf(free);
  if (node != free) {
    unlink(node);
    return node;
  }
  const pending = localPending(local);
  if (isEmpty(pending)) return 0;
  node = previousOf(pending);
  while (node != pending && isMarked(node)) node = previousOf(node);
  if (node == pending) node = previousOf(pending);
  evict(header, node);
  unlink(node);
  return node;
}

function takeCommon(header: BpfMap, cpuId: u32): usize {
  const local = localOf(header, cpuId);
  const free = localFree(local);
  if (isEmpty(free)) refill(header, listsOf(header, cpuId), local);
  let node = nextOf(free);
  if (node != free) {
    unlink(node);
  } else {
    const begin = local.victim;
    do {
      node = steal(header, localOf(header, local.victim));
      local.victim = local.victim + 1 == header.cpus ? 0 : local.victim + 1;
    } while (!node && local.victim != begin);
    if (!node) return 0;
  }
  store<u8>(node, LOCAL_PENDING, LIST);
  linkFirst(localPending(local), node);
  return node;
}

function takeOwn(header: BpfMap, cpuId: u32): usize {
  const lists = listsOf(header, cpuId);
  rotate(lists);
  let node = takeFree(header, lists);
  if (!node) {
    shrink(header, lists, OWN_TARGET, FREE, headOf(lists, FREE));
    node = takeFree(header, lists);
    if (!node) return 0;
  }
  store<u8>(node, INACTIVE, LIST);
  linkFirst(headOf(lists, INACTIVE), node);
  lists.inactive++;
  return node;
}

/** An element for a new key, in no hash chain; others may have had to go for it. 0 when there is none. */
export function lru_take(header: BpfMap, cpuId: u32): usize {
  const node = hasOwnLists(header) ? takeOwn(header, cpuId) : takeCommon(header, cpuId);
  if (!node) return 0;
  store<u8>(node, 0, MARK);
  store<u16>(node, cpuId as u16, CPU);
  return node + NODE;
}

/** Gives back an element that is in no hash chain (any more). */
export function lru_give_back(header: BpfMap, element: usize): void {
  const node = element - NODE;
  const cpuId = load<u16>(node, CPU) as u32;
  const lists = listsOf(header, cpuId);
  if (load<u8>(node, LIST) == LOCAL_PENDING) {
    move(lists, node, LOCAL_FREE, localFree(localOf(header, cpuId)));
  } else {
    moveWithin(lists, node, FREE);
  }
}
