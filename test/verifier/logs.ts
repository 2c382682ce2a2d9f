// What a kernel's verifier says of programs of ours: of objects, and of the assembly in programs.txt. Every program is
// loaded with a log of every instruction; one that is refused has a plain one in its place, so that all are heard.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Bpf, Fd, ProgLoadAttr } from '../../src/bpf/bpf.js';
import { BpfError, type Errno, errnoName } from '../../src/bpf/errno.js';
import { type AttachType, MapFlag, MapType, ProgType } from '../../src/bpf/types.js';
import { Btf } from '../../src/btf/index.js';
import { parseObject } from '../../src/elf/index.js';
import { assembleUnit, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { kernelTypes } from '../../src/kernel/types/index.js';
import { type Verdict, type VerifierMap, verify } from '../../src/kernel/verifier/index.js';
import { recordOf } from '../../src/kernel/verifier/records.js';
import { load } from '../../src/loader/index.js';

const root = path.join(import.meta.dirname, '../..');
const INSTRUCTIONS = 2;

export interface Said {
  readonly program: string;
  /** `accepted`, or the errno's name. */
  readonly verdict: string;
  readonly lines: readonly string[];
}

/** The addresses that instructions load are of one boot: their place is taken by a word. */
function withoutAddresses(log: string, instructions: Uint8Array): string {
  return log.replace(
    /^((?:\s*(?:\d+ +)?|mark_precise: .* before )(\d+): (?:\S+ )?\(18\) r\d+ = )0x[0-9a-f]+ */gm,
    (whole, before: string, slot: string) =>
      (instructions[Number(slot) * 8 + 1] ?? 0) >> 4 === 0 ? whole : `${before}ADDRESS `,
  );
}

/** `r0 = 0; exit` */
const PLAIN = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

/** The kernel, listening to what is said of each program. */
function listening(kernel: Bpf, said: Said[]): Bpf {
  const progLoad: Bpf['progLoad'] = async (attr) => {
    const log = { text: '' };
    const note = (verdict: string) =>
      said.push({
        program: attr.name ?? '',
        verdict,
        lines: withoutAddresses(log.text, attr.instructions).trimEnd().split('\n'),
      });
    try {
      const fd = await kernel.progLoad({ ...attr, logLevel: INSTRUCTIONS, log });
      note('accepted');
      return fd;
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      log.text = error.verifierLog ?? '';
      note(errnoName(error.errno));
      const { type, license } = attr;
      return kernel.progLoad({
        type,
        license,
        instructions: PLAIN,
        ...(attr.expectedAttachType === undefined ? {} : { expectedAttachType: attr.expectedAttachType }),
      });
    }
  };
  return new Proxy(kernel, {
    get(target, name) {
      const value: unknown = name === 'progLoad' ? progLoad : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/**
 * The emulated kernel, with Skep's verifier also for the types of programs that it does not run. `heard` is told of each
 * verdict.
 */
export function verifyingKernel(cpus: number, heard?: (verdict: Verdict) => void): Bpf {
  const kernel = new EmulatedKernel({ cpus });
  const btfs = new Map<Fd, Btf>();
  const maps = new Map<Fd, VerifierMap & { frozen: boolean }>();
  const judge = async (attr: ProgLoadAttr): Promise<Fd> => {
    const verdict = await verify(
      {
        ...attr,
        flags: attr.flags ?? 0,
        expectedAttachType: (attr.expectedAttachType ?? 0) as AttachType,
        name: attr.name ?? '',
      },
      {
        map: (fd) => maps.get(fd),
        btf: (fd) => btfs.get(fd),
        kernelTypes,
        capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
        cpus,
        logLevel: attr.logLevel ?? 0,
      },
    );
    heard?.(verdict);
    if (attr.log) attr.log.text = verdict.log;
    if (!verdict.accepted) throw new BpfError('BPF_PROG_LOAD', verdict.errno as Errno, '', verdict.log);
    return kernel.progLoad({ type: ProgType.Xdp, license: 'GPL', instructions: PLAIN });
  };
  const commands: Partial<Bpf> = {
    async btfLoad(bytes) {
      const fd = await kernel.btfLoad(bytes);
      btfs.set(fd, Btf.parse(bytes));
      return fd;
    },
    async mapCreate(attr) {
      const fd = await kernel.mapCreate(attr);
      const btf = attr.btfFd === undefined ? undefined : btfs.get(attr.btfFd);
      const typeId = attr.btfValueTypeId ?? 0;
      const record = btf && typeId ? recordOf(btf, typeId) : undefined;
      const inner = attr.innerMapFd === undefined ? undefined : maps.get(attr.innerMapFd);
      maps.set(fd, {
        id: fd,
        name: attr.name ?? '',
        type: attr.type as MapType,
        keySize: attr.keySize,
        valueSize: attr.valueSize,
        maxEntries: attr.maxEntries,
        flags: attr.flags ?? 0,
        frozen: false,
        ...(inner ? { inner: { ...inner, name: '' } } : {}),
        ...(btf ? { btf, btfKeyTypeId: attr.btfKeyTypeId ?? 0, btfValueTypeId: typeId } : {}),
        ...(record ? { record } : {}),
      });
      return fd;
    },
    async mapFreeze(fd) {
      await kernel.mapFreeze(fd);
      const map = maps.get(fd);
      if (!map) return;
      const value = await kernel.mapLookupElem(fd, new Uint8Array(4));
      maps.set(fd, {
        ...map,
        frozen: true,
        readConstant: (offset, size) => {
          if (offset < 0 || offset + size > value.length) return undefined;
          let number = 0n;
          for (let i = size - 1; i >= 0; i--) number = (number << 8n) | BigInt(value[offset + i] as number);
          return number;
        },
      });
    },
    progLoad: (attr) =>
      attr.logLevel ? judge(attr) : kernel.progLoad({ ...attr, type: ProgType.Xdp, expectedAttachType: 0 }),
  };
  return new Proxy(kernel, {
    get(target, name) {
      const value: unknown = Reflect.get(commands, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Objects whose programs are verified: those of the folders that any kernel can load as they are. */
export const objects: readonly string[] = [
  'examples',
  'bench/programs',
  'test/elf/objects',
  'test/compare/objects',
]
  .flatMap((folder) => readdirSync(path.join(root, folder)).map((file) => `${folder}/${file}`))
  .filter((file) => /^.*(?<!\.eb|\.eb-.*)\.bpf\.o$/.test(file))
  // These ask for a particular kernel: its types, its variables, its configuration.
  .filter(
    (file) =>
      !/\/(core|externs|single|kfuncs|ksyms|sections|legacy.*|early|custom-bss|pointers)\.bpf\.o$/.test(file),
  )
  // Their logs are of many megabytes and show nothing that the others do not.
  .filter((file) => !/\/(sort|primes|state_machine|log2)\.bpf\.o$/.test(file));

export async function sayOfObject(kernel: Bpf, file: string): Promise<Said[]> {
  const said: Said[] = [];
  const spec = parseObject(readFileSync(path.join(root, file)), { name: file });
  const collection = await load(spec, listening(kernel, said));
  await collection.close();
  return said;
}

const TYPES: Readonly<Record<string, ProgType>> = {
  socket_filter: ProgType.SocketFilter,
  kprobe: ProgType.Kprobe,
  tc: ProgType.SchedCls,
  tracepoint: ProgType.Tracepoint,
  xdp: ProgType.Xdp,
  cgroup_skb: ProgType.CgroupSkb,
  raw_tp: ProgType.RawTracepoint,
};

const MAPS = {
  array: { type: MapType.Array, keySize: 4, valueSize: 16, maxEntries: 1 },
  hash: { type: MapType.Hash, keySize: 8, valueSize: 16, maxEntries: 4 },
  readonly: { type: MapType.Array, keySize: 4, valueSize: 16, maxEntries: 1, flags: MapFlag.RdonlyProg },
  programs: { type: MapType.ProgArray, keySize: 4, valueSize: 4, maxEntries: 4 },
  ring: { type: MapType.Ringbuf, keySize: 0, valueSize: 0, maxEntries: 4096 },
} as const;

/** Instructions of a text in which `map`, `value` and `function` stand for addresses and `.bytes` for what is no instruction. */
function instructionsOf(text: string, fds: Readonly<Record<string, number>>): Uint8Array {
  const raw: [string, string][] = [];
  const fd = (name: string) => {
    const found = fds[name];
    if (found === undefined) throw new Error(`there is no map ${name}`);
    return found;
  };
  const source = text
    .replace(/^\.bytes (.*)$/gm, (_, bytes: string) => {
      raw.push([`raw${raw.length}`, bytes]);
      // As many slots, to be replaced.
      return `raw${raw.length - 1}: r0 = 0`;
    })
    .replace(/(r\d) = map (\w+)/g, (_, r, name) => `ld_pseudo ${r}, 1, ${fd(name)}`)
    .replace(
      /(r\d) = value (\w+) \+ (\d+)/g,
      (_, r, name, off) => `ld_pseudo ${r}, 2, ${(BigInt(off) << 32n) + BigInt(fd(name))}`,
    );
  const functions: [string, string][] = [];
  const marked = source.replace(/(r\d) = function (\w+)/g, (_, r, name) => {
    functions.push([`function${functions.length}`, name]);
    return `function${functions.length - 1}: ld_pseudo ${r}, 4, 0`;
  });
  const { insns, labels } = assembleUnit(marked);
  const bytes = encode(insns);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const slotOf = (label: string) => {
    const slot = labels.get(label);
    if (slot === undefined) throw new Error(`there is no label ${label}`);
    return slot;
  };
  for (const [label, target] of functions) {
    view.setInt32(slotOf(label) * 8 + 4, slotOf(target) - slotOf(label) - 1, true);
  }
  for (const [label, hex] of raw) {
    bytes.set(
      hex.split(' ').map((byte) => Number.parseInt(byte, 16)),
      slotOf(label) * 8,
    );
  }
  return bytes;
}

/** What is said of each program of programs.txt. */
export async function sayOfTexts(kernel: Bpf): Promise<Said[]> {
  const said: Said[] = [];
  const fds: Record<string, number> = {};
  for (const [name, attr] of Object.entries(MAPS)) fds[name] = await kernel.mapCreate({ ...attr, name });
  const listener = listening(kernel, said);
  const text = readFileSync(path.join(import.meta.dirname, 'programs.txt'), 'utf8');
  for (const [, title, type, license = 'GPL', body] of text.matchAll(
    /^== (.*) \((\w+)(?:, (\w+))?\)\n((?:(?!==).*\n)*)/gm,
  )) {
    const progType = TYPES[type as string];
    if (progType === undefined) throw new Error(`${title}: no type ${type}`);
    const instructions = instructionsOf(body as string, fds);
    const before = said.length;
    await kernel.close(await listener.progLoad({ type: progType, license, instructions }));
    said[before] = { ...(said[before] as Said), program: title as string };
  }
  for (const fd of Object.values(fds)) await kernel.close(fd);
  return said;
}

/** Lines of a log that are kept whole; of a longer one the beginning, the end, and a hash of all. */
const LONGEST = 150;
const HEAD = 60;
const TAIL = 20;

/** A golden's text: each program with its verdict and its log. */
export function goldenOf(said: readonly Said[]): string {
  return said
    .map(({ program, verdict, lines }) => {
      const hash = createHash('sha256').update(lines.join('\n')).digest('hex');
      const shown =
        lines.length <= LONGEST
          ? lines
          : [...lines.slice(0, HEAD), `... ${lines.length} lines, sha256 ${hash}`, ...lines.slice(-TAIL)];
      return `== ${program}: ${verdict}\n${shown.join('\n')}\n`;
    })
    .join('\n');
}

/** Golden of an object, or of the texts: its file, and the words above it. */
export const goldenFile = (name: string): string =>
  path.join(import.meta.dirname, 'goldens', `${name.replaceAll('/', '-').replace(/\.bpf\.o$/, '')}.log`);
export const withoutHeader = (golden: string): string => golden.slice(golden.indexOf('\n') + 1);
