// From a spec to a collection: BTF, maps, programs, and the slots that wait for programs. Whatever a failing load has
// made by then is closed again.

import { SkepError } from '../base/error.js';
import type { Bpf, Fd, ProgLoadAttr } from '../bpf/bpf.js';
import { BpfError } from '../bpf/errno.js';
import { AttachType, ProgFlag, ProgType, progTypeName } from '../bpf/types.js';
import type { Btf } from '../btf/btf.js';
import { CoreKind, relocateCore } from '../btf/core.js';
import { explainUnknownSection, parseSectionName } from '../elf/sections.js';
import type { CollectionSpec, ProgramSpec } from '../elf/spec.js';
import type { Instruction } from '../isa/instruction.js';
import { Collection, closeAll, LoadedProgram } from './collection.js';
import { type KernelFacts, kernelVersionCode } from './externs.js';
import { functionInfo, lineInfo, resolveInstructions } from './instructions.js';
import { kernelBtfBytes } from './kernel-btf.js';
import { kernelFacts } from './kernel-facts.js';
import { LoadedMap } from './map.js';
import { createMaps, fillSlots, type Track } from './maps.js';
import { kernelName } from './names.js';
import { RefusedProgram } from './refused.js';

/** What a load may be told beside the spec. What is not told of the kernel, it is asked. */
export interface LoadOptions extends Partial<KernelFacts> {
  /** The object's name, which begins the names of its sections' maps: `firewall` for firewall.bpf.o. */
  name?: string;
  /** Which programs to load, in place of those that their section names ask for. */
  programs?: readonly string[];
  /** What the verifier is to log: 0 nothing, 1 branches, 2 every instruction, 4 statistics. */
  logLevel?: number;
  /** Receives the verifier's log of each program that was loaded, when there is one to be had. */
  onLog?: (program: ProgramSpec, log: string) => void;
  /** Maps to use in place of those that the object defines, by the spec's name. They stay the caller's. */
  existingMaps?: ReadonlyMap<string, Fd>;
  /** The device that programs and maps are offloaded to, or that XDP programs are bound to for its metadata. */
  device?: { ifindex: number; offload: boolean };
  /**
   * The directory in a bpf file system where maps are pinned that ask for it (LIBBPF_PIN_BY_NAME), or found again when an
   * earlier load did that. Without it they are not.
   */
  pinDirectory?: string;
}

/** What is assumed of a kernel that does not say which it is. */
const KERNEL_VERSION = '6.18.0';

/**
 * Loads a collection into a kernel. Throws a SkepError that says what could not be made and why; the kernel's own
 * BpfError (with the verifier's log) is its `cause`.
 */
export async function load(
  spec: CollectionSpec,
  kernel: Bpf,
  options: LoadOptions = {},
): Promise<Collection> {
  const { name = '', logLevel = 0 } = options;
  if (spec.byteOrder !== 'little') {
    throw new SkepError('this object is big-endian, and the kernel is little-endian', {
      where: name,
      hint: 'Compile with -target bpfel.',
    });
  }
  const asked = await kernelFacts(kernel, spec, options);
  const kernelVersion = options.kernelVersion ?? asked.kernelVersion ?? KERNEL_VERSION;
  const facts: KernelFacts = { ...options, ...asked, kernelVersion };
  const wanted = selectPrograms(spec, options.programs);
  const fds: Fd[] = [];
  const track: Track = (fd) => {
    fds.push(fd);
    return fd;
  };
  try {
    const btfFd = await loadBtf(spec, kernel, track);
    const mapFds = await createMaps(spec, kernel, track, {
      name,
      btfFd,
      facts,
      present: options.existingMaps,
      ifindex: options.device?.offload ? options.device.ifindex : undefined,
      pinDirectory: options.pinDirectory,
    });
    const programs = new Map<string, LoadedProgram>();
    for (const program of wanted) {
      const attr = {
        ...loadAttr(spec, program, mapFds, facts, btfFd, logLevel),
        ...deviceAttr(program, options.device),
      };
      const log = { text: '' };
      if (logLevel > 0) attr.log = log;
      const fd = track(await loadProgram(kernel, program, attr));
      if (log.text !== '') options.onLog?.(program, log.text);
      await bindConstants(spec, kernel, fd, mapFds);
      programs.set(program.name, new LoadedProgram(kernel, program, fd));
    }
    const programFds = new Map([...programs].map(([program, { fd }]) => [program, fd]));
    for (const map of spec.maps) await fillSlots(map, kernel, mapFds, 'program', programFds);
    const cpus = await kernel.possibleCpus();
    const maps = new Map(
      spec.maps.map((map) => [
        map.name,
        new LoadedMap(kernel, map, mapFds.get(map.name) ?? -1, spec.btf, cpus),
      ]),
    );
    return new Collection(kernel, spec, programs, maps, fds);
  } catch (error) {
    // The first error is the one that matters.
    await closeAll(kernel, fds).catch(() => {});
    throw error;
  }
}

function deviceAttr(program: ProgramSpec, device: LoadOptions['device']): Partial<ProgLoadAttr> {
  if (device === undefined) return {};
  const { ifindex, offload } = device;
  if (offload) return { ifindex };
  if (program.type !== ProgType.Xdp) return {};
  return { ifindex, flags: program.flags | ProgFlag.XdpDevBoundOnly };
}

/** Every program keeps the object's constants, whether it uses them or not; a kernel that cannot do that is none the worse. */
async function bindConstants(
  spec: CollectionSpec,
  kernel: Bpf,
  prog: Fd,
  maps: ReadonlyMap<string, Fd>,
): Promise<void> {
  for (const map of spec.maps) {
    const fd = maps.get(map.name);
    if (map.section?.kind !== 'rodata' || fd === undefined) continue;
    await kernel.progBindMap(prog, fd).catch((error: unknown) => {
      if (!(error instanceof BpfError)) throw error;
    });
  }
}

function selectPrograms(spec: CollectionSpec, names: readonly string[] | undefined): ProgramSpec[] {
  if (names === undefined) return spec.programs.filter(({ autoload }) => autoload);
  return names.map((name) => {
    const program = spec.programs.find((candidate) => candidate.name === name);
    if (program !== undefined) return program;
    throw new SkepError('there is no such program', {
      where: `program '${name}'`,
      hint: `Known: ${spec.programs.map((known) => known.name).join(', ') || 'none'}.`,
    });
  });
}

/** The object's BTF in the kernel. A kernel that refuses it gets the maps and programs without (as from libbpf). */
async function loadBtf(spec: CollectionSpec, kernel: Bpf, track: Track): Promise<Fd | undefined> {
  if (spec.btf === undefined) return undefined;
  try {
    return track(await kernel.btfLoad(kernelBtfBytes(spec.btf)));
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

function loadAttr(
  spec: CollectionSpec,
  program: ProgramSpec,
  maps: ReadonlyMap<string, Fd>,
  facts: KernelFacts,
  btfFd: Fd | undefined,
  logLevel: number,
): ProgLoadAttr {
  const where = `program '${program.name}'`;
  if (program.type === ProgType.Unspec) {
    const { message, hint } = explainUnknownSection(program.section);
    throw new SkepError(message, { where, hint });
  }
  const operation = structOperation(program, facts.kernelBtf);
  const attachBtfId = operation?.struct ?? attachTarget(program, facts.kernelBtf);
  const info = btfFd === undefined ? {} : debugInfo(program, btfFd);
  return {
    type: program.type,
    instructions: resolveInstructions(spec, program, relocated(spec, program, facts), maps, facts),
    license: spec.license,
    name: kernelName(program.name),
    flags: program.flags,
    // For these programs the field holds the member's index.
    expectedAttachType: (operation?.member as AttachType | undefined) ?? expectedAttachType(program),
    kernelVersion: spec.kernelVersion ?? kernelVersionCode(facts.kernelVersion),
    ...(attachBtfId === undefined ? {} : { attachBtfId }),
    ...info,
    logLevel,
  };
}

/** The instructions of a program for the types of this kernel; a SkepError when its BTF is needed and not given. */
export function relocated(
  spec: CollectionSpec,
  program: ProgramSpec,
  facts: KernelFacts,
): readonly Instruction[] {
  const { coreRelocations, instructions } = program;
  if (coreRelocations.length === 0) return instructions;
  const where = `program '${program.name}'`;
  // Ids of the program's own types need no kernel.
  const ownTypesOnly = coreRelocations.every(({ kind }) => kind === CoreKind.TypeIdLocal);
  const target = facts.kernelBtf ?? (ownTypesOnly ? spec.btf : undefined);
  if (spec.btf === undefined || target === undefined) {
    throw new SkepError(
      `has ${coreRelocations.length} CO-RE relocations: where fields are depends on the kernel, and this one gives no BTF that says so`,
      { where, hint: 'Give the BTF of a kernel when loading (kernelBtf), such as /sys/kernel/btf/vmlinux.' },
    );
  }
  try {
    return relocateCore(instructions, coreRelocations, spec.btf, target);
  } catch (cause) {
    if (!(cause instanceof SkepError)) throw cause;
    throw new SkepError(cause.message, { where, hint: cause.hint, cause });
  }
}

/** Kernels since 6.6 attach USDT programs by the multi link, which wants to be named. */
function expectedAttachType(program: ProgramSpec): AttachType {
  if (program.attachType !== undefined) return program.attachType;
  const name = parseSectionName(program.section)?.definition.name;
  return name === 'usdt' || name === 'usdt.s' ? AttachType.TraceUprobeMulti : AttachType.CgroupInetIngress;
}

function debugInfo(program: ProgramSpec, btfFd: Fd): Partial<ProgLoadAttr> {
  const funcInfo = functionInfo(program);
  const lines = lineInfo(program);
  if (funcInfo === undefined) return { progBtfFd: btfFd };
  return { progBtfFd: btfFd, funcInfo, ...(lines === undefined ? {} : { lineInfo: lines }) };
}

/**
 * The structure and the index of its member that a `struct_ops` program implements, in the kernel's BTF. A program that
 * no variable refers to says neither, and the kernel refuses it.
 */
function structOperation(
  program: ProgramSpec,
  kernelBtf: Btf | undefined,
): { struct: number; member: number } | undefined {
  if (program.type !== ProgType.StructOps || program.structOps === undefined) return undefined;
  const where = `program '${program.name}'`;
  // A flavor, `name___v2`, is another declaration of the same structure.
  const name = program.structOps.struct.replace(/(?<=[^_])___[^_].*$/, '');
  const id = kernelBtf?.findByName(name, 'STRUCT');
  const struct = id === undefined ? undefined : kernelBtf?.type(id);
  if (id === undefined || struct?.kind !== 'STRUCT') {
    throw new SkepError(
      kernelBtf === undefined
        ? `implements struct ${name}, whose layout the kernel does not give`
        : `implements struct ${name}, which the kernel's BTF does not have`,
      { where },
    );
  }
  const wanted = program.structOps.member;
  const member = struct.members.findIndex((one) => one.name === wanted);
  if (member >= 0) return { struct: id, member };
  throw new SkepError(`implements ${name}.${wanted}, but the kernel's struct has no such member`, { where });
}

/** How the kernel's BTF names what a program attaches to, by attach type (libbpf's libbpf_find_vmlinux_btf_id). */
const targetPrefixes: Partial<Record<AttachType, { prefix: string; kind: 'TYPEDEF' | 'FUNC' }>> = {
  [AttachType.TraceRawTp]: { prefix: 'btf_trace_', kind: 'TYPEDEF' },
  [AttachType.TraceIter]: { prefix: 'bpf_iter_', kind: 'FUNC' },
  [AttachType.LsmMac]: { prefix: 'bpf_lsm_', kind: 'FUNC' },
  [AttachType.LsmCgroup]: { prefix: 'bpf_lsm_', kind: 'FUNC' },
};

function attachTarget(program: ProgramSpec, kernelBtf: Btf | undefined): number | undefined {
  const definition = parseSectionName(program.section)?.definition;
  if (definition?.btfTarget !== true) return undefined;
  const where = `program '${program.name}'`;
  const target = program.attachTo;
  if (target === undefined || target === '') {
    throw new SkepError(`section '${program.section}' does not say what to attach to`, {
      where,
      hint: `Write SEC("${definition.name}/FUNCTION").`,
    });
  }
  if (program.type === ProgType.Ext || kernelBtf === undefined) {
    throw new SkepError(
      `${progTypeName(program.type)} programs attach to '${target}' by its BTF, which ${
        program.type === ProgType.Ext ? 'is that of another program' : 'the kernel does not give'
      }`,
      { where },
    );
  }
  const { prefix, kind } = targetPrefixes[program.attachType ?? 0] ?? { prefix: '', kind: 'FUNC' };
  const id = kernelBtf.findByName(prefix + target, kind);
  if (id !== undefined) return id;
  throw new SkepError(`attaches to '${target}', but the kernel's BTF has no ${kind} '${prefix}${target}'`, {
    where,
  });
}

async function loadProgram(kernel: Bpf, program: ProgramSpec, attr: ProgLoadAttr): Promise<Fd> {
  try {
    return await kernel.progLoad(attr);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw await refusal(kernel, program, attr, error);
  }
}

/** A refused program is loaded once more with the verifier's log on, as libbpf does, to hear why. */
async function refusal(
  kernel: Bpf,
  program: ProgramSpec,
  attr: ProgLoadAttr,
  error: BpfError,
): Promise<SkepError> {
  let cause = error;
  if (error.verifierLog === undefined && !attr.logLevel) {
    try {
      await kernel.close(await kernel.progLoad({ ...attr, logLevel: 1 }));
    } catch (second) {
      if (second instanceof BpfError) cause = second;
    }
  }
  return new RefusedProgram(program, cause);
}
