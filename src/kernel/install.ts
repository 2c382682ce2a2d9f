// Where programs live: each is laid out in linear memory (a Program and its instructions) and handed to the engine.

import { BpfError, Errno } from '../bpf/errno.js';
import { MapFlag, MapType } from '../bpf/types.js';
import { encodeUnchecked } from '../isa/encode.js';
import { Mode } from '../isa/opcodes.js';
import type { EngineName, RunnableProgram } from './engine.js';
import { helperById } from './helpers/index.js';
import { InterpretedProgram } from './interpreter/engine.js';
import type { ContextShape, Step } from './jit/code.js';
import { JitProgram, ProgramTable } from './jit/jit.js';
import { type KfuncCall, kfuncCalls, ObjectTypes } from './kfuncs/calls.js';
import { LOAD, refuseHelper } from './load-checks.js';
import { arenaStart } from './maps/arena.js';
import { type KernelMemory, layout } from './memory/memory.js';
import type { ProgramTypeDefinition } from './programs/definition.js';
import type { Resolved } from './resolve.js';
import { layout as domain } from './verifier/domain.js';
import type { RewriteFacts } from './verifier/rewrites/facts.js';
import { checkStructure } from './verifier/structure.js';

/** A program that can run. */
export interface Installed {
  /** Of the Program in linear memory. */
  readonly address: number;
  readonly runnable: RunnableProgram;
}

/** Those of the calls that are still in the program, none of which was refused. */
function reached(
  calls: ReadonlyMap<number, KfuncCall | string>,
  steps: readonly (Step | undefined)[],
): Map<number, KfuncCall> {
  const found = new Map<number, KfuncCall>();
  for (const [slot, call] of calls) {
    const does = steps[slot]?.does;
    if (does?.kind === 'call' && does.target === 'kfunc' && typeof call !== 'string') found.set(slot, call);
  }
  return found;
}

/** The slots of the instructions that access an arena. */
function arenaAccesses(facts: RewriteFacts | undefined): ReadonlySet<number> {
  const slots = new Set<number>();
  for (const [slot, type] of facts?.pointerType ?? []) if (type === domain.ARENA) slots.add(slot);
  return slots;
}

/** How the interpreter tells an access of an arena from others: by the mode (runtime/interpreter.ts, arenaAccess). */
function arenaOpcode(opcode: number): number {
  const mode = opcode & 0xe0;
  const marked = mode === Mode.MEM ? 0xa0 : mode === Mode.MEMSX ? 0xc0 : 0xe0;
  return (opcode & 0x1f) | marked;
}

export class Installer {
  readonly #memory: KernelMemory;
  readonly #types: ObjectTypes;
  /** Of the programs that are loaded from now on. */
  engine: EngineName;
  readonly #cpu: number;
  readonly #table = new ProgramTable();

  /** `cpu` is the address of a Cpu. */
  constructor(memory: KernelMemory, engine: EngineName, cpu: number) {
    this.#memory = memory;
    this.#types = new ObjectTypes(memory);
    this.engine = engine;
    this.#cpu = cpu;
  }

  #alloc(size: number, what: string): number {
    const at = this.#memory.alloc(size);
    if (at === undefined) throw new BpfError(LOAD, Errno.ENOMEM, `no room for ${what}`);
    return at;
  }

  /**
   * Lays the program out in linear memory and hands it to the engine; `checked`: its accesses are looked at while it
   * runs; `blinded`: its numbers are hidden in compiled code. Leaves nothing behind when it fails.
   */
  async install(
    resolved: Resolved,
    definition: ProgramTypeDefinition,
    gplCompatible: boolean,
    checked: boolean,
    blinded = false,
    facts?: RewriteFacts,
  ): Promise<Installed> {
    const arena = resolved.maps.find(({ type }) => type === MapType.Arena);
    const calls = facts ? kfuncCalls(facts, this.#types) : new Map<number, KfuncCall | string>();
    const steps = checkStructure(resolved.insns, resolved.constants, {
      packetLoads: definition.packetLoads,
      arena: arena !== undefined,
      helpers: helperById,
      refuseKfunc: (slot, id) => {
        const call = calls.get(slot);
        if (typeof call === 'string') return call;
        return call ? undefined : `kernel function #${id} is called, and this program was not verified`;
      },
      refuseHelper: (helper) => refuseHelper(helper, definition, gplCompatible, checked),
    });
    const memory = this.#memory;
    const kfuncs = reached(calls, steps);
    const accesses = arenaAccesses(facts);
    const code = encodeUnchecked(resolved.insns);
    for (const slot of accesses) code[slot * 8] = arenaOpcode(code[slot * 8] ?? 0);
    [...kfuncs.keys()].forEach((slot, i) => {
      new DataView(code.buffer, code.byteOffset).setInt32(slot * 8 + 4, i, true);
    });
    const address = this.#alloc(layout.Program_size, 'a program');
    const allocated = (field: number, size: number, what: string): number => {
      const at = this.#alloc(size, what);
      memory.setU32(address + field, at);
      return at;
    };
    try {
      memory.write(allocated(layout.Program_insns, code.length, 'instructions'), code);
      const maps = allocated(layout.Program_maps, Math.max(resolved.maps.length, 1) * 4, 'map references');
      resolved.maps.forEach((map, i) => {
        memory.setU32(maps + i * 4, map.address);
      });
      memory.setU32(address + layout.Program_insnCount, code.length / 8);
      memory.setU32(address + layout.Program_mapCount, resolved.maps.length);
      this.#describe(address, definition.context, allocated);
      this.#describeCalls(kfuncs, allocated);
      memory.setU32(address + layout.Program_arena, arena?.address ?? 0);
      memory.setU32(address + layout.Program_trusted, checked ? 0 : 1);
      if (this.engine === 'interpreter') {
        return { address, runnable: new InterpretedProgram(memory, this.#cpu, address) };
      }
      const runnable = await JitProgram.load(
        {
          steps,
          constants: resolved.constants,
          context: definition.context,
          kfuncs,
          ...(arena
            ? {
                arena: {
                  upper: arena.flags & MapFlag.NoUserConv ? 0 : Number(arenaStart(arena.mapExtra) >> 32n),
                  accesses,
                },
              }
            : {}),
        },
        { checked, blinded, helpers: helperById },
        memory,
        this.#table,
        this.#cpu,
        address,
      );
      return { address, runnable };
    } catch (error) {
      this.#free(address);
      throw error;
    }
  }

  /** Tells the runtime what the program's frames look like. */
  #describe(
    address: number,
    { size, writable, frame }: ContextShape,
    allocated: (field: number, size: number, what: string) => number,
  ): void {
    const memory = this.#memory;
    const set = (field: number, value: number) => memory.setU32(address + field, value);
    set(layout.Program_ctxSize, size);
    set(layout.Program_startField, frame.packetStart);
    set(layout.Program_endField, frame.packetEnd);
    set(layout.Program_dataField, frame.data);
    set(layout.Program_resultField, frame.result);
    set(layout.Program_redirectField, frame.redirectIfindex);
    set(layout.Program_objectsField, frame.objects.from);
    set(layout.Program_objectsEnd, frame.objects.to);
    if (!writable.some((bits) => bits !== 0)) return;
    memory.write(allocated(layout.Program_ctxWritable, writable.length, 'the rules of a context'), writable);
  }

  /** What the interpreter reads of the calls of kernel functions, which it knows by their order. */
  #describeCalls(
    calls: ReadonlyMap<number, KfuncCall>,
    allocated: (field: number, size: number, what: string) => number,
  ): void {
    if (calls.size === 0) return;
    const size = layout.KfuncCall_size;
    const at = allocated(layout.Program_kfuncs, calls.size * size, 'calls of kernel functions');
    [...calls.values()].forEach(({ definition, type, offset }, i) => {
      const set = (field: number, value: number) => this.#memory.setU32(at + i * size + field, value);
      set(layout.KfuncCall_number, definition.number);
      set(layout.KfuncCall_typeAt, definition.typeAt ?? 0);
      set(layout.KfuncCall_type, type);
      set(layout.KfuncCall_offsetAt, definition.offsetAt ?? 0);
      set(layout.KfuncCall_offset, offset);
    });
  }

  /** Gives back what a program holds. */
  uninstall({ address, runnable }: Installed): void {
    runnable.dispose();
    this.#free(address);
  }

  /** What was never allocated is 0, and freeing that does nothing. */
  #free(address: number): void {
    this.#memory.free(this.#memory.u32(address + layout.Program_insns));
    this.#memory.free(this.#memory.u32(address + layout.Program_maps));
    this.#memory.free(this.#memory.u32(address + layout.Program_ctxWritable));
    this.#memory.free(this.#memory.u32(address + layout.Program_kfuncs));
    this.#memory.free(address);
  }

  /** The id by which faults name the program; it has one once it is loaded. */
  setId(address: number, id: number): void {
    this.#memory.setU32(address + layout.Program_id, id);
  }
}
