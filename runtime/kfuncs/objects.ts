// Objects that programs make, and the lists and trees that they put them in.
//
//   bpf_refcount    4 bytes
//   bpf_list_head   +0 next   +8 previous                               0: not initialised yet
//   bpf_list_node   +0 next   +8 previous   +16 the list that it is in, 0: none
//   bpf_rb_root     +0 root   +8 first
//   bpf_rb_node     +0 parent   +8 right   +16 left   +24 the tree that it is in, 0: none
//
// All of these are pointers of 8 bytes. A tree is not balanced: only its order can be seen.

import { call_back } from '../callback';
import { pointerTo } from '../dynptr';
import {
  Cpu, FIELD_KPTR, FIELD_LIST_HEAD, FIELD_RB_ROOT, FIELD_REFCOUNT, ObjectField, ObjectType, POINTER_BASE,
} from '../layout';
import { EINVAL } from '../maps/errno';

const PREVIOUS: usize = 8;
const LIST_OWNER: usize = 16;
const RIGHT: usize = 8;
const LEFT: usize = 16;
const TREE_OWNER: usize = 24;
const FIRST: usize = 8;

@inline function link(at: usize, offset: usize): usize {
  return load<u64>(at + offset) as usize;
}

@inline function setLink(at: usize, offset: usize, to: usize): void {
  store<u64>(at + offset, to ? POINTER_BASE | (to as u64) : 0);
}

@inline function fieldAt(type: ObjectType, index: u32): ObjectField {
  return changetype<ObjectField>(changetype<usize>(type) + offsetof<ObjectType>() + index * offsetof<ObjectField>());
}

/** bpf_obj_new_impl(type): all zero, a count of one. */
export function kfunc_bpf_obj_new_impl(cpu: usize, r1: u64, r2: u64): u64 {
  const type = changetype<ObjectType>(r1 as usize);
  const at = heap.alloc(max(type.size, 8));
  memory.fill(at, 0, max(type.size, 8));
  for (let i: u32 = 0; i < type.fields; i++) {
    const field = fieldAt(type, i);
    if (field.kind == FIELD_REFCOUNT) store<u32>(at + field.offset, 1);
    else if (field.kind == FIELD_LIST_HEAD) initialise(at + field.offset);
  }
  return pointerTo(at);
}

/** Gives a reference back; with the last one the object goes, and all that it holds. */
export function drop(at: usize, type: ObjectType): void {
  for (let i: u32 = 0; i < type.fields; i++) {
    const field = fieldAt(type, i);
    if (field.kind != FIELD_REFCOUNT) continue;
    const count = load<u32>(at + field.offset) - 1;
    store<u32>(at + field.offset, count);
    if (count) return;
  }
  free_fields(at, changetype<usize>(type));
  heap.free(at);
}

/** Lets go of what the lists, trees and kernel pointers in an object or a map's value hold. */
export function free_fields(at: usize, address: usize): void {
  const type = changetype<ObjectType>(address);
  for (let i: u32 = 0; i < type.fields; i++) {
    const field = fieldAt(type, i);
    const place = at + field.offset;
    const held = changetype<ObjectType>(field.type);
    if (field.kind == FIELD_LIST_HEAD) {
      for (let node = takeFirst(place); node; node = takeFirst(place)) drop(node - field.node, held);
    } else if (field.kind == FIELD_RB_ROOT) {
      for (let node = first(place); node; node = first(place)) {
        erase(place, node);
        drop(node - field.node, held);
      }
    } else if (field.kind == FIELD_KPTR) {
      const pointer = load<u64>(place) as usize;
      store<u64>(place, 0);
      if (pointer && field.type) drop(pointer, held);
    }
  }
}

/** bpf_obj_drop_impl(object, type). */
export function kfunc_bpf_obj_drop_impl(cpu: usize, r1: u64, r2: u64): u64 {
  drop(r1 as usize, changetype<ObjectType>(r2 as usize));
  return 0;
}

/** bpf_refcount_acquire_impl(object, type). */
export function kfunc_bpf_refcount_acquire_impl(cpu: usize, r1: u64, r2: u64): u64 {
  const type = changetype<ObjectType>(r2 as usize);
  for (let i: u32 = 0; i < type.fields; i++) {
    const field = fieldAt(type, i);
    if (field.kind != FIELD_REFCOUNT) continue;
    const at = (r1 as usize) + field.offset;
    const count = load<u32>(at);
    if (!count) return 0;
    store<u32>(at, count + 1);
  }
  return r1;
}

// ---- lists

function initialise(head: usize): void {
  setLink(head, 0, head);
  setLink(head, PREVIOUS, head);
}

/** Puts a node behind `before`. */
function insert(head: usize, before: usize, node: usize): void {
  const after = link(before, 0);
  setLink(node, 0, after);
  setLink(node, PREVIOUS, before);
  setLink(before, 0, node);
  setLink(after, PREVIOUS, node);
  setLink(node, LIST_OWNER, head);
}

/** A node that is in a list already cannot be put in; the reference is gone all the same. */
function push(r1: u64, r2: u64, type: u64, offset: u64, tail: bool): u64 {
  const head = r1 as usize;
  const node = r2 as usize;
  if (!link(head, 0)) initialise(head);
  if (link(node, LIST_OWNER)) {
    drop(node - (offset as usize), changetype<ObjectType>(type as usize));
    return -EINVAL as i64 as u64;
  }
  insert(head, tail ? link(head, PREVIOUS) : head, node);
  return 0;
}

function unlink(node: usize): void {
  const before = link(node, PREVIOUS);
  const after = link(node, 0);
  setLink(before, 0, after);
  setLink(after, PREVIOUS, before);
  setLink(node, 0, node);
  setLink(node, PREVIOUS, node);
  setLink(node, LIST_OWNER, 0);
}

/** The node at one end, or 0. */
function endOf(head: usize, offset: usize): usize {
  const node = link(head, offset);
  return node == head ? 0 : node;
}

function takeFirst(head: usize): usize {
  const node = endOf(head, 0);
  if (node) unlink(node);
  return node;
}

export function kfunc_bpf_list_push_front_impl(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  return push(r1, r2, r3, r4, false);
}

export function kfunc_bpf_list_push_back_impl(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  return push(r1, r2, r3, r4, true);
}

function take(r1: u64, offset: usize): u64 {
  const node = endOf(r1 as usize, offset);
  if (!node) return 0;
  unlink(node);
  return pointerTo(node);
}

export function kfunc_bpf_list_pop_front(cpu: usize, r1: u64): u64 {
  return take(r1, 0);
}

export function kfunc_bpf_list_pop_back(cpu: usize, r1: u64): u64 {
  return take(r1, PREVIOUS);
}

export function kfunc_bpf_list_front(cpu: usize, r1: u64): u64 {
  const node = endOf(r1 as usize, 0);
  return node ? pointerTo(node) : 0;
}

export function kfunc_bpf_list_back(cpu: usize, r1: u64): u64 {
  const node = endOf(r1 as usize, PREVIOUS);
  return node ? pointerTo(node) : 0;
}

// ---- trees

function first(root: usize): usize {
  return link(root, FIRST);
}

/** The first node below and including `node`. */
function leftmost(node: usize): usize {
  while (node && link(node, LEFT)) node = link(node, LEFT);
  return node;
}

/** Puts `by` where `node` is below its parent. */
function replace(root: usize, node: usize, by: usize): void {
  const parent = link(node, 0);
  if (!parent) setLink(root, 0, by);
  else setLink(parent, link(parent, LEFT) == node ? LEFT : RIGHT, by);
  if (by) setLink(by, 0, parent);
}

function erase(root: usize, node: usize): void {
  const left = link(node, LEFT);
  const right = link(node, RIGHT);
  if (!left) replace(root, node, right);
  else if (!right) replace(root, node, left);
  else {
    const next = leftmost(right);
    if (next != right) {
      replace(root, next, link(next, RIGHT));
      setLink(next, RIGHT, right);
      setLink(right, 0, next);
    }
    replace(root, node, next);
    setLink(next, LEFT, left);
    setLink(left, 0, next);
  }
  memory.fill(node, 0, TREE_OWNER + 8);
  setLink(root, FIRST, leftmost(link(root, 0)));
}

/** bpf_rbtree_add_impl(root, node, less, type, offset). */
export function kfunc_bpf_rbtree_add_impl(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const root = r1 as usize;
  const node = r2 as usize;
  if (link(node, TREE_OWNER)) {
    drop(node - (r5 as usize), changetype<ObjectType>(r4 as usize));
    return -EINVAL as i64 as u64;
  }
  let parent: usize = 0;
  let side: usize = 0;
  let at = link(root, 0);
  while (at) {
    parent = at;
    side = call_back(changetype<Cpu>(cpu), r3, r2, pointerTo(at), 0, 0, 0) ? LEFT : RIGHT;
    at = link(at, side);
  }
  memory.fill(node, 0, TREE_OWNER);
  setLink(node, 0, parent);
  setLink(node, TREE_OWNER, root);
  if (parent) setLink(parent, side, node);
  else setLink(root, 0, node);
  setLink(root, FIRST, leftmost(link(root, 0)));
  return 0;
}

/** bpf_rbtree_remove(root, node): the node, or null when it is in no tree or in another. */
export function kfunc_bpf_rbtree_remove(cpu: usize, r1: u64, r2: u64): u64 {
  const node = r2 as usize;
  if (link(node, TREE_OWNER) != (r1 as usize)) return 0;
  erase(r1 as usize, node);
  return r2;
}

export function kfunc_bpf_rbtree_first(cpu: usize, r1: u64): u64 {
  const node = first(r1 as usize);
  return node ? pointerTo(node) : 0;
}
