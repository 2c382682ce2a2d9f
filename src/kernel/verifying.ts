// A kernel that only judges: programs are verified and never run. So it takes all map types and all program types, those
// too that the emulated kernel cannot run, and an object of a million entries costs nothing.

import type { Fd, MapCreateAttr, ProgLoadAttr } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { type AttachType, MapFlag, mapTypeName } from '../bpf/types.js';
import { Btf } from '../btf/index.js';
import { EmulatedKernel } from './kernel.js';
import { checkTypes } from './maps/index.js';
import { mapTooNew, type Profile, programTooNew, verifiedLimit } from './profile.js';
import { kernelTypes } from './types/index.js';
import { type Verdict, type VerifierMap, verify } from './verifier/index.js';
import { recordOf } from './verifier/records.js';

export interface VerifyingOptions {
  /** The kernel's types; those of the emulated kernel unless others are given. */
  kernelTypes?: () => Promise<Btf>;
  /** What the kernel has: `{ version: '5.15' }`; Linux 6.18 when it is not given. */
  profile?: Profile;
  /** 0, 1, 2, 4 and their sums; at 0 a rejection has the log of level 1 all the same. */
  logLevel?: number;
  /** Possible CPUs. */
  cpus?: number;
}

/** What became of one program. */
export interface Judgement extends Verdict {
  /** Wall time of the verification at the log level that was asked for. */
  readonly milliseconds: number;
}

const root = { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true } as const;

interface JudgedMap {
  readonly shape: VerifierMap;
  contents?: Uint8Array;
  frozen: boolean;
}

/** Descriptors of this kernel begin here; those of the emulated kernel below it are of other things. */
const FIRST_FD = 1 << 20;

/** Maps, BTF and loads as bpf(2) has them; a load always succeeds, and `verdicts` has what the verifier said of it. */
export class VerifyingKernel extends EmulatedKernel {
  /** In the order of the loads. */
  readonly verdicts: Judgement[] = [];
  readonly #options: VerifyingOptions;
  readonly #maps = new Map<Fd, JudgedMap>();
  readonly #btfs = new Map<Fd, Btf>();
  #next = FIRST_FD;

  constructor(options: VerifyingOptions = {}) {
    super({ engine: 'interpreter', cpus: options.cpus ?? 1 });
    this.#options = options;
  }

  override async btfLoad(bytes: Uint8Array): Promise<Fd> {
    const fd = this.#next++;
    this.#btfs.set(fd, Btf.parse(bytes.slice()));
    return fd;
  }

  override async mapCreate(attr: MapCreateAttr): Promise<Fd> {
    const { profile } = this.#options;
    const old = profile && mapTooNew(attr.type, profile);
    if (old) throw new BpfError('BPF_MAP_CREATE', Errno.EINVAL, old);
    if (mapTypeName(attr.type) === undefined || attr.type === 0) {
      throw new BpfError('BPF_MAP_CREATE', Errno.EINVAL, `there is no map type ${attr.type}`);
    }
    const valueType = attr.btfValueTypeId ?? 0;
    const typed = valueType !== 0 || (attr.btfKeyTypeId ?? 0) !== 0;
    const btf = typed ? this.#btfs.get(attr.btfFd ?? 0) : undefined;
    if (btf) checkTypes(btf, attr);
    const record = btf && valueType ? recordOf(btf, valueType) : undefined;
    const inner = attr.innerMapFd === undefined ? undefined : this.#maps.get(attr.innerMapFd)?.shape;
    const fd = this.#next++;
    const judged: JudgedMap = {
      frozen: false,
      shape: {
        id: this.#maps.size + 1,
        name: attr.name ?? '',
        address: 0xffff_8880_0000_0000n + BigInt(this.#maps.size) * 0x400n,
        type: attr.type,
        keySize: attr.keySize,
        valueSize: attr.valueSize,
        maxEntries: attr.maxEntries,
        flags: (attr.flags ?? 0) & ~(MapFlag.Rdonly | MapFlag.Wronly),
        get frozen() {
          return judged.frozen;
        },
        ...(btf ? { btf, btfKeyTypeId: attr.btfKeyTypeId ?? 0, btfValueTypeId: valueType } : {}),
        ...(record ? { record } : {}),
        ...(inner ? { inner } : {}),
        readConstant: (offset, size) => readConstant(judged.contents, offset, size),
      },
    };
    this.#maps.set(fd, judged);
    return fd;
  }

  override async mapUpdateElem(fd: Fd, _key: Uint8Array, value: Uint8Array): Promise<void> {
    const map = this.#maps.get(fd);
    if (!map) throw new BpfError('BPF_MAP_UPDATE_ELEM', Errno.EBADF, `descriptor ${fd} is not open`);
    // Only the one value of a section of constants is ever asked for.
    if (map.shape.maxEntries === 1) map.contents = value.slice();
  }

  override async mapFreeze(fd: Fd): Promise<void> {
    const map = this.#maps.get(fd);
    if (!map) throw new BpfError('BPF_MAP_FREEZE', Errno.EBADF, `descriptor ${fd} is not open`);
    map.frozen = true;
  }

  override async progLoad(attr: ProgLoadAttr): Promise<Fd> {
    this.verdicts.push(await this.#judge(attr));
    return this.#next++;
  }

  override async close(fd: Fd): Promise<void> {
    if (fd < FIRST_FD) return super.close(fd);
    this.#maps.delete(fd);
    this.#btfs.delete(fd);
  }

  async #judge(attr: ProgLoadAttr): Promise<Judgement> {
    const { profile, logLevel = 0 } = this.#options;
    const old = profile && programTooNew(attr, profile);
    if (old) return refused(old);
    const program = {
      ...attr,
      flags: attr.flags ?? 0,
      expectedAttachType: (attr.expectedAttachType ?? 0) as AttachType,
      name: attr.name ?? '',
    };
    const at = (level: number) =>
      verify(program, {
        map: (fd) => this.#maps.get(fd)?.shape,
        btf: (fd) => this.#btfs.get(fd),
        kernelTypes: this.#options.kernelTypes ?? kernelTypes,
        capabilities: root,
        cpus: this.#options.cpus ?? 1,
        logLevel: level,
      });
    const start = performance.now();
    const verdict = await at(logLevel);
    const milliseconds = performance.now() - start;
    if (verdict.accepted) {
      const limit = profile ? verifiedLimit(profile) : Number.POSITIVE_INFINITY;
      if (verdict.processed > limit) {
        const log = `BPF program is too large. Processed ${verdict.processed} insn\n`;
        return { ...verdict, accepted: false, errno: Errno.E2BIG, log, milliseconds };
      }
      return { ...verdict, milliseconds };
    }
    // Without a log nobody would know why.
    const log = logLevel & 3 ? verdict.log : (await at(logLevel | 1)).log;
    return { ...verdict, log, milliseconds };
  }
}

/** What a kernel says that does not know something. */
function refused({ errno, message }: { errno: Errno; message: string }): Judgement {
  return {
    accepted: false,
    errno,
    log: `${message}\n`,
    processed: 0,
    totalStates: 0,
    peakStates: 0,
    maxStatesPerInsn: 0,
    markRead: 0,
    contextSize: 0,
    stackDepths: [],
    memory: 0,
    milliseconds: 0,
  };
}

function readConstant(value: Uint8Array | undefined, offset: number, size: number): bigint | undefined {
  if (!value || offset < 0 || offset + size > value.length) return undefined;
  let number = 0n;
  for (let i = size - 1; i >= 0; i--) number = (number << 8n) | BigInt(value[offset + i] as number);
  return number;
}
