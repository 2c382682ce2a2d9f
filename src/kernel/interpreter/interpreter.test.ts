import { expect, test } from 'vitest';
import { MapType } from '../../bpf/types.js';
import { assemble, encode } from '../../isa/index.js';
import { helpers } from '../helpers/index.js';
import { KernelMemory, layout, POINTER_BASE } from '../memory/memory.js';
import { Interpreter } from './interpreter.js';

/** Instructions that a run may take, where a test sets no other number. */
const BUDGET = 100_000_000;

const memory = new KernelMemory({
  callHost: (_cpu, helper) => {
    throw new Error(`helper ${helper} is not here`);
  },
  now: () => 0,
});

function alloc(size: number): number {
  const at = memory.alloc(size);
  if (at === undefined) throw new RangeError('out of memory');
  return at;
}

/** An address for a Program without instructions. */
function makeProgram(): number {
  const address = alloc(layout.Program_size);
  memory.setU32(address + layout.Program_ctxSize, 24);
  return address;
}

/** Gives the Program at `address` the instructions of `asm`. */
function fill(address: number, asm: string): void {
  const code = encode(assemble(asm));
  const old = memory.u32(address + layout.Program_insns);
  if (old) memory.free(old);
  const insns = alloc(code.length);
  memory.write(insns, code);
  memory.setU32(address + layout.Program_insns, insns);
  memory.setU32(address + layout.Program_insnCount, code.length / 8);
}

const cpu = alloc(layout.Cpu_size);
const stack = alloc(layout.STACK_SIZE);
memory.setU32(cpu + layout.Cpu_stackStart, stack);
memory.setU32(cpu + layout.Cpu_stackEnd, stack + layout.STACK_SIZE);
const packet = alloc(64);
const ctx = alloc(layout.XdpFrame_size);
const program = makeProgram();
const interpreter = new Interpreter(memory, cpu);

/** Makes `asm` ready to run, with a packet of 64 bytes and its frame as context. */
function prepare(asm: string, budget = BUDGET): void {
  fill(program, asm);
  memory.setU32(cpu + layout.Cpu_ctx, ctx);
  memory.setU32(cpu + layout.Cpu_packetStart, packet);
  memory.setU32(cpu + layout.Cpu_packetEnd, packet + 64);
  memory.setU32(cpu + layout.Cpu_tailCalls, 0);
  memory.setU32(cpu + layout.Cpu_budget, budget);
  memory.setU32(ctx + layout.XdpFrame_data, packet);
  memory.setU32(ctx + layout.XdpFrame_dataEnd, packet + 64);
}

const context = POINTER_BASE | BigInt(ctx);

const run = (asm: string, budget?: number) => {
  prepare(asm, budget);
  return interpreter.run(program, context);
};

/** The kind and slot of the fault that ends `asm`. */
const faultOf = (asm: string, budget?: number) => {
  const end = run(asm, budget);
  return end.state === 'faulted' ? { kind: end.fault.kind, slot: end.fault.slot } : end;
};

const SUM = `
  r6 = 3
again:
  r0 += r6
  r6 += -1
  if r6 != 0 goto again
  exit`;

test('steps from instruction to instruction and shows registers', () => {
  prepare(SUM);
  interpreter.begin(program, context);
  expect(interpreter.slot).toBe(0);
  expect(interpreter.register(1)).toBe(context);
  expect(interpreter.register(10)).toBe(POINTER_BASE | BigInt(memory.u32(cpu + layout.Cpu_stackEnd)));
  const slots: number[] = [];
  while (interpreter.state.state === 'running') {
    slots.push(interpreter.slot);
    interpreter.step();
  }
  expect(slots).toEqual([0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 4]);
  expect(interpreter.steps).toBe(11n);
  expect(interpreter.state).toEqual({ state: 'exited', r0: 6n });
});

test('goes on with a register that was changed while it stood', () => {
  prepare(SUM);
  interpreter.begin(program, context);
  interpreter.step(2);
  interpreter.setRegister(6, 10n);
  expect(interpreter.step(1000)).toEqual({ state: 'exited', r0: 3n + 45n });
  expect(interpreter.registers).toHaveLength(11);
});

test('gives the same end whatever the size of the steps', () => {
  const asm = `
    r0 = 1
    r6 = 5000
  again:
    r0 *= 31
    r0 += r6
    r6 += -1
    if r6 != 0 goto again
    exit`;
  const whole = run(asm);
  for (const size of [1, 7, 4096]) {
    prepare(asm);
    interpreter.begin(program, context);
    while (interpreter.step(size).state === 'running');
    expect(interpreter.state).toEqual(whole);
    expect(interpreter.steps).toBe(20_003n);
  }
});

test('shows who waits for the running function', () => {
  prepare(`
    call f
    exit
  f:
    r0 = 1
    call g
    exit
  g:
    r0 = 2
    exit`);
  interpreter.begin(program, context);
  interpreter.step(4);
  expect(interpreter.slot).toBe(6);
  expect(interpreter.callers).toEqual([
    { program, slot: 1 },
    { program, slot: 4 },
  ]);
  interpreter.step();
  expect(interpreter.callers).toEqual([{ program, slot: 1 }]);
  expect(interpreter.step(10)).toEqual({ state: 'exited', r0: 2n });
});

test('counts every instruction against the budget', () => {
  expect(run('r0 = 1\nr0 += 1\nexit', 3)).toEqual({ state: 'exited', r0: 2n });
  expect(memory.u32(cpu + layout.Cpu_budget)).toBe(0);
  expect(faultOf('r0 = 1\nr0 += 1\nexit', 2)).toEqual({ kind: layout.FAULT_BUDGET, slot: 2 });
  expect(faultOf('again: goto again\nexit', 1_000_000)).toEqual({ kind: layout.FAULT_BUDGET, slot: 0 });
});

test('may_goto ends a loop after as many iterations as Linux allows', () => {
  const asm = 'r0 = 0\nagain: may_goto out\nr0 += 1\ngoto again\nout: exit';
  expect(run(asm)).toEqual({ state: 'exited', r0: BigInt(layout.MAX_LOOPS) });
});

test.each([
  ['reads through null', 'r1 = 8\nr0 = *(u64 *)(r1 + 0)\nexit', layout.FAULT_NULL, 1],
  ['writes through null', 'r1 = 0\n*(u8 *)(r1 + 4) = 1\nexit', layout.FAULT_NULL, 1],
  ['reads behind the packet', 'r1 = *(u32 *)(r1 + 0)\nr0 = *(u32 *)(r1 + 61)\nexit', layout.FAULT_BOUNDS, 1],
  ['reads before the packet', 'r1 = *(u32 *)(r1 + 0)\nr0 = *(u64 *)(r1 - 1)\nexit', layout.FAULT_BOUNDS, 1],
  ['writes above the stack', '*(u64 *)(r10 - 7) = 1\nexit', layout.FAULT_BOUNDS, 0],
  ['reads above the stack', 'r0 = *(u8 *)(r10 + 0)\nexit', layout.FAULT_BOUNDS, 0],
  ['reads behind the context', 'r0 = *(u32 *)(r1 + 24)\nexit', layout.FAULT_BOUNDS, 0],
  ['writes to the context', '*(u32 *)(r1 + 0) = 1\nexit', layout.FAULT_READ_ONLY, 0],
  ['has a foreign pointer', 'r1 = 0x1234567800000000 ll\nr0 = *(u8 *)(r1 + 0)\nexit', layout.FAULT_BOUNDS, 2],
  ['changes memory outside atomically', 'r1 = 0\nlock *(u64 *)(r1 + 0) += r1\nexit', layout.FAULT_NULL, 1],
  ['acquires from outside', 'r1 = 0\nw0 = load_acquire((u8 *)(r1 + 0))\nexit', layout.FAULT_NULL, 1],
  ['calls without end', 'f: call f\nexit', layout.FAULT_STACK, 0],
  ['calls through a register', 'callx r1\nexit', layout.FAULT_ARGUMENT, 0],
  ['jumps out of the program', 'goto +5\nexit', layout.FAULT_ARGUMENT, 6],
  ['runs off its end', 'r0 = 1', layout.FAULT_ARGUMENT, 1],
])('ends the run of a program that %s', (_name, asm, kind, slot) => {
  expect(faultOf(asm)).toEqual({ kind, slot });
});

test('a faulted run stays where it is', () => {
  prepare('r1 = 0\nr0 = *(u8 *)(r1 + 0)\nexit');
  interpreter.begin(program, context);
  expect(interpreter.step(5).state).toBe('faulted');
  expect(interpreter.slot).toBe(1);
  expect(interpreter.step(5).state).toBe('faulted');
  expect(run('r0 = 7\nexit')).toEqual({ state: 'exited', r0: 7n });
});

test('eight functions deep is allowed, nine is not', () => {
  const chain = (depth: number) =>
    `${Array.from({ length: depth - 1 }, (_, i) => `f${i}: call f${i + 1}\nexit\n`).join('')}f${depth - 1}: r0 = 9\nexit`;
  expect(run(chain(8))).toEqual({ state: 'exited', r0: 9n });
  expect(faultOf(chain(9))).toEqual({ kind: layout.FAULT_STACK, slot: 14 });
});

test('accesses that end with the packet and the stack are inside', () => {
  expect(run('r1 = *(u32 *)(r1 + 0)\n*(u64 *)(r1 + 56) = 5\nr0 = *(u64 *)(r1 + 56)\nexit')).toEqual({
    state: 'exited',
    r0: 5n,
  });
  expect(run('*(u64 *)(r10 - 8) = 6\nr0 = *(u64 *)(r10 - 8)\nexit')).toEqual({ state: 'exited', r0: 6n });
});

/** A program array of two slots, the second with `target`. */
function programArray(target: number): number {
  const map = alloc(layout.BpfMap_size);
  const values = alloc(16);
  memory.setU32(map + layout.BpfMap_type, 3);
  memory.setU32(map + layout.BpfMap_maxEntries, 2);
  memory.setU32(map + layout.BpfMap_values, values);
  memory.setU32(map + layout.BpfMap_elementSize, 8);
  memory.setU32(values + 8, target);
  const maps = alloc(4);
  memory.setU32(maps, map);
  for (const one of [program, target]) {
    memory.setU32(one + layout.Program_maps, maps);
    memory.setU32(one + layout.Program_mapCount, 1);
  }
  return map;
}

test('tail calls', () => {
  const other = makeProgram();
  const map = programArray(other);
  const pointer = `r2 = 0x${(POINTER_BASE | BigInt(map)).toString(16)} ll`;
  const jumpTo = (index: string) => `${pointer}\nr3 = ${index}\ncall 12\nr0 = 1\nexit`;

  fill(other, 'r0 = 2\nexit');
  expect(run(jumpTo('1')), 'goes to the program').toEqual({ state: 'exited', r0: 2n });
  expect(run(jumpTo('0x700000001 ll')), 'looks at 32 bits of the index').toEqual({ state: 'exited', r0: 2n });
  expect(run(jumpTo('0')), 'falls through at an empty slot').toEqual({ state: 'exited', r0: 1n });
  expect(memory.u32(cpu + layout.Cpu_tailCalls), 'which does not count').toBe(0);
  expect(run(jumpTo('2')), 'falls through behind the array').toEqual({ state: 'exited', r0: 1n });
  expect(
    run(`r6 = 40\nr1 = r1\ncall f\nr0 += r6\nexit\nf: ${jumpTo('1')}`),
    'from a function: its caller goes on',
  ).toEqual({
    state: 'exited',
    r0: 42n,
  });
  fill(other, `r6 = *(u32 *)(r1 + 12)\n${jumpTo('1')}`);
  expect(run(jumpTo('1')), 'ends at the limit').toEqual({ state: 'exited', r0: 1n });
  expect(memory.u32(cpu + layout.Cpu_tailCalls)).toBe(layout.MAX_TAIL_CALLS);
  expect(faultOf('r2 = 5\nr3 = 0\ncall 12\nexit'), 'needs a program array').toEqual({
    kind: layout.FAULT_ARGUMENT,
    slot: 2,
  });
});

/** bpf_ringbuf_reserve. */
const RESERVE = 131;

test('helpers of the runtime are called there, all others in the host', () => {
  const calls: number[] = [];
  const watched = new KernelMemory({
    callHost: (_cpu, helper) => {
      calls.push(helper);
    },
    now: () => 1,
  });
  const at = watched.alloc(layout.Cpu_size) ?? 0;
  const frame = watched.alloc(layout.XdpFrame_size) ?? 0;
  const map = watched.alloc(layout.BpfMap_size) ?? 0;
  for (const [from, size] of [
    [at, layout.Cpu_size],
    [frame, layout.XdpFrame_size],
    [map, layout.BpfMap_size],
  ] as const) {
    watched.u8.fill(0, from, from + size);
  }
  const call = watched.runtime.call_helper as (...args: (number | bigint)[]) => bigint;
  const create = watched.runtime.map_create as (...args: number[]) => number;
  const ring = create(MapType.Ringbuf, 0, 0, 4096, 0, 1, 0) >>> 0;
  // What only the verifier lets through needs objects that are not here.
  const callable = helpers.filter(({ args }) => !args.includes('verified'));
  const inRuntime = callable.filter(({ id, name, args }) => {
    calls.length = 0;
    // Enough for each to come back: a frame, a ring buffer, one of its records, or a map of no type.
    const takesRecord = name === 'ringbuf_submit' || name === 'ringbuf_discard';
    const record = takesRecord ? call(at, RESERVE, BigInt(ring), 8n, 0n, 0n, 0n) : 0n;
    const first = args[0] === 'ctx' ? frame : name.startsWith('ringbuf') ? ring : map;
    call(at, id, takesRecord ? record : BigInt(first), 0n, 0n, 0n, 0n);
    return calls.length === 0;
  });
  expect(inRuntime.map(({ name }) => name)).toEqual(
    callable.filter(({ runs }) => runs === 'runtime').map(({ name }) => name),
  );
});
