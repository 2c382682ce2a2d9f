// Control flow graph -> structured control flow, after Ramsey, "Beyond Relooper" (ICFP 2022): walk the
// dominator tree; a block that several forward edges reach becomes the end of a WebAssembly block around
// its dominator, a loop header becomes a loop, everything else is written where it is jumped to.
//
// Graphs with loops that have two entries are first made reducible: such a loop gets a dispatcher, a new
// block through which all edges to its entries go.

import { type Block, blockOf, type Graph, insertBlock, redirect, successors } from './cfg.js';
import type { Flow } from './flow.js';
import { nestingOf } from './loops.js';

/** Reverse postorder of the graph, and each block's place in it. */
export interface Order {
  readonly sequence: readonly number[];
  readonly index: ReadonlyMap<number, number>;
}

export function reversePostorder(graph: Graph): Order {
  const sequence: number[] = [];
  const visited = new Set<number>([graph.entry]);
  const stack: { id: number; next: number }[] = [{ id: graph.entry, next: 0 }];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const to = successors(blockOf(graph, top.id).exit)[top.next++];
    if (to === undefined) {
      sequence.push(top.id);
      stack.pop();
    } else if (!visited.has(to)) {
      visited.add(to);
      stack.push({ id: to, next: 0 });
    }
  }
  sequence.reverse();
  return { sequence, index: new Map(sequence.map((id, at) => [id, at])) };
}

/** The immediate dominator of each block but the entry (Cooper, Harvey, Kennedy). */
export function dominators(graph: Graph, order: Order): Map<number, number> {
  const { sequence, index } = order;
  const at = (id: number): number => index.get(id) ?? -1;
  const predecessors: number[][] = sequence.map(() => []);
  for (const id of sequence) {
    for (const to of successors(blockOf(graph, id).exit)) predecessors[at(to)]?.push(at(id));
  }
  const idom = new Int32Array(sequence.length).fill(-1);
  idom[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (let b = 1; b < sequence.length; b++) {
      let found = -1;
      for (const p of predecessors[b] ?? []) {
        if (idom[p] === -1) continue;
        if (found === -1) {
          found = p;
          continue;
        }
        let other = p;
        while (other !== found) {
          while (other > found) other = idom[other] ?? 0;
          while (found > other) found = idom[found] ?? 0;
        }
      }
      if (idom[b] !== found) {
        idom[b] = found;
        changed = true;
      }
    }
  }
  return new Map(sequence.slice(1).map((id, i) => [id, sequence[idom[i + 1] ?? 0] ?? 0]));
}

/** Whether every way to `b` leads through `a`. */
export function dominates(idom: ReadonlyMap<number, number>, order: Order, a: number, b: number): boolean {
  const first = order.index.get(a) ?? -1;
  let id: number | undefined = b;
  while (id !== undefined && (order.index.get(id) ?? -1) > first) id = idom.get(id);
  return id === a;
}

/** Strongly connected components of the blocks in `region` (edges into `header` do not count). */
function components(graph: Graph, region: ReadonlySet<number>, header: number): number[][] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const onStack = new Set<number>();
  const pending: number[] = [];
  const found: number[][] = [];
  const inside = (to: number) => to !== header && region.has(to);
  for (const root of region) {
    if (index.has(root)) continue;
    const stack: { id: number; next: number }[] = [];
    const enter = (id: number) => {
      index.set(id, index.size);
      low.set(id, index.get(id) ?? 0);
      pending.push(id);
      onStack.add(id);
      stack.push({ id, next: 0 });
    };
    enter(root);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const { id } = top;
      const to = successors(blockOf(graph, id).exit)[top.next++];
      if (to !== undefined) {
        if (!inside(to)) continue;
        if (!index.has(to)) enter(to);
        else if (onStack.has(to)) low.set(id, Math.min(low.get(id) ?? 0, index.get(to) ?? 0));
        continue;
      }
      stack.pop();
      const parent = stack.at(-1);
      if (parent) low.set(parent.id, Math.min(low.get(parent.id) ?? 0, low.get(id) ?? 0));
      if (low.get(id) === index.get(id)) {
        const component: number[] = [];
        for (let member = -1; member !== id; ) {
          member = pending.pop() ?? id;
          onStack.delete(member);
          component.push(member);
        }
        found.push(component);
      }
    }
  }
  return found;
}

/** Gives every loop a single entry. Reducible graphs stay as they are. */
export function makeReducible(graph: Graph): void {
  const work: { region: Set<number>; header: number }[] = [
    { region: new Set(graph.blocks.keys()), header: graph.entry },
  ];
  for (let item = work.pop(); item; item = work.pop()) {
    const { region, header } = item;
    for (const component of components(graph, region, header)) {
      if (component.length === 1) continue;
      const loop = new Set(component);
      const entries: number[] = [];
      for (const block of graph.blocks.values()) {
        if (loop.has(block.id)) continue;
        for (const to of successors(block.exit)) if (loop.has(to) && !entries.includes(to)) entries.push(to);
      }
      let entry = entries[0];
      if (entries.length > 1) {
        entry = dispatch(graph, entries, loop);
        loop.add(entry);
        region.add(entry);
      }
      if (entry === undefined) continue;
      work.push({ region: loop, header: entry });
    }
  }
}

/** A new block that leads to any of `targets`; all edges to them now go through it. */
function dispatch(graph: Graph, targets: number[], loop: Set<number>): number {
  const dispatcher = graph.nextId++;
  const slot = blockOf(graph, targets[0] ?? graph.entry).slot;
  for (const block of [...graph.blocks.values()]) {
    const via = (to: number): number => {
      const value = targets.indexOf(to);
      if (value < 0) return to;
      const id = insertBlock(graph, block, { kind: 'label', node: dispatcher, value }, dispatcher);
      if (loop.has(block.id)) loop.add(id);
      return id;
    };
    block.exit = redirect(block.exit, via);
  }
  graph.blocks.set(dispatcher, {
    id: dispatcher,
    items: [],
    exit: { kind: 'dispatch', targets },
    weight: 0,
    slot,
  });
  return dispatcher;
}

/** Receives the structured program, in order. Depths count the enclosing constructs, innermost 0. */
export interface StructureSink {
  openBlock(): void;
  /** Opens the loop whose header is the block; what is written before it runs once, when the loop begins. */
  openLoop(header: number): void;
  /** Opens an if over the branch's condition. */
  openIf(slot: number): void;
  openElse(): void;
  close(): void;
  body(block: Block): void;
  jump(depth: number): void;
  /** Jumps when the branch's condition is `when`. */
  jumpIf(slot: number, when: boolean, depth: number): void;
  jumpTable(block: Block, depths: number[]): void;
  ret(slot: number): void;
}

/** The blocks that come after each loop, by its header: those that only lead out of it, and out of none around it. */
function behindLoops({ order, idom, loops }: Flow): Map<number, number[]> {
  const { innermost, around } = nestingOf(
    new Map([...loops].map(([header, { members }]) => [header, members])),
  );
  const behind = new Map<number, number[]>();
  for (const id of order.sequence) {
    let left: number | undefined;
    let loop = innermost.get(idom.get(id) ?? id);
    while (loop !== undefined && !loops.get(loop)?.members.has(id)) {
      left = loop;
      loop = around.get(loop);
    }
    if (left === undefined) continue;
    const list = behind.get(left);
    if (list) list.push(id);
    else behind.set(left, [id]);
  }
  return behind;
}

/** Writes a reducible graph to `sink`. Uses no recursion: programs may be deep. */
export function structure(flow: Flow, sink: StructureSink): void {
  const { graph, order, idom } = flow;
  const at = (id: number): number => order.index.get(id) ?? -1;
  const forwardIn = new Map<number, number>();
  const headers = new Set<number>();
  for (const id of order.sequence) {
    const { exit } = blockOf(graph, id);
    for (const to of successors(exit)) {
      if (at(to) <= at(id)) headers.add(to);
      else forwardIn.set(to, (forwardIn.get(to) ?? 0) + (exit.kind === 'dispatch' ? 2 : 1));
    }
  }
  const behind = behindLoops(flow);
  const isBehind = new Set([...behind.values()].flat());
  const isMerge = (id: number): boolean => (forwardIn.get(id) ?? 0) > 1;
  const mergesUnder = new Map<number, number[]>();
  for (const id of order.sequence) {
    const parent = idom.get(id);
    if (parent === undefined || !isMerge(id) || isBehind.has(id)) continue;
    const list = mergesUnder.get(parent);
    if (list) list.push(id);
    else mergesUnder.set(parent, [id]);
  }

  /** What the enclosing constructs lead to: the end of a block, the start of a loop, nothing (an if). */
  const enclosing: (number | undefined)[] = [];
  const depthOf = (id: number): number => {
    const place = enclosing.lastIndexOf(id);
    if (place < 0) throw new Error(`block ${id} is not in reach: the graph is not reducible`);
    return enclosing.length - 1 - place;
  };
  const tasks: (() => void)[] = [];
  const later = (...steps: (() => void)[]) => {
    for (let i = steps.length - 1; i >= 0; i--) tasks.push(steps[i] as () => void);
  };
  const close = () => {
    enclosing.pop();
    sink.close();
  };
  const leads = (from: number, to: number): boolean => at(to) <= at(from) || isMerge(to) || isBehind.has(to);
  const goTo = (from: number, to: number) => {
    if (leads(from, to)) sink.jump(depthOf(to));
    else later(() => tree(to));
  };
  /** `inner`, in blocks that end where each of `ends` begins, which follow; later ones further out. */
  const inBlocks = (ends: readonly number[], inner: () => void) => {
    const sorted = [...ends].sort((a, b) => at(a) - at(b));
    for (const end of sorted.toReversed()) {
      sink.openBlock();
      enclosing.push(end);
    }
    later(inner, ...sorted.flatMap((end) => [close, () => tree(end)]));
  };
  const tree = (id: number) => {
    const inside = () => inBlocks(mergesUnder.get(id) ?? [], () => write(id));
    if (!headers.has(id)) {
      inside();
      return;
    }
    inBlocks(behind.get(id) ?? [], () => {
      sink.openLoop(id);
      enclosing.push(id);
      later(inside, close);
    });
  };
  const write = (id: number) => {
    const block = blockOf(graph, id);
    sink.body(block);
    const { exit } = block;
    switch (exit.kind) {
      case 'return':
        sink.ret(exit.slot);
        break;
      case 'goto':
        goTo(id, exit.to);
        break;
      case 'dispatch':
        sink.jumpTable(block, exit.targets.map(depthOf));
        break;
      case 'branch': {
        const { slot, taken, fall } = exit;
        if (leads(id, taken)) {
          sink.jumpIf(slot, true, depthOf(taken));
          goTo(id, fall);
        } else if (leads(id, fall)) {
          sink.jumpIf(slot, false, depthOf(fall));
          goTo(id, taken);
        } else {
          sink.openIf(slot);
          enclosing.push(undefined);
          later(
            () => goTo(id, taken),
            () => sink.openElse(),
            () => goTo(id, fall),
            close,
          );
        }
      }
    }
  };
  tasks.push(() => tree(graph.entry));
  for (let task = tasks.pop(); task; task = tasks.pop()) task();
}
