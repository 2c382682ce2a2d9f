// Global functions: verified by themselves, with arguments of which only BTF and its `arg:` tags say something; callers
// must pass what they were verified with (Linux: btf_prepare_func_args, btf_check_func_arg_match).

import { Errno } from '../../bpf/errno.js';
import { AttachType, ProgType } from '../../bpf/types.js';
import type { Btf, BtfFunc, BtfFuncProto, BtfType } from '../../btf/index.js';
import { checkMemory, checkOffset } from './arguments.js';
import { markNotNull } from './branch.js';
import { matchesKernelType } from './btf-access.js';
import { layout as L } from './domain.js';
import { checkDynptrParameter, setDynptrArgument } from './dynptr.js';
import { isNull, markPointer, markUnknown, mayBeNull } from './registers.js';
import { Rejection, type Subprog, type SubprogArg, type Verifier } from './verifier.js';

const MAX_ARGUMENTS = 5;

const skip = (btf: Btf, id: number): BtfType => btf.type(btf.skipModifiers(id));
const isInteger = (type: BtfType): boolean =>
  type.kind === 'INT' || type.kind === 'ENUM' || type.kind === 'ENUM64';
const isStruct = (type: BtfType): boolean => type.kind === 'STRUCT' || type.kind === 'UNION';

/** A type's kind as the log names it. */
const kindName = (type: BtfType): string => (type.kind === 'VOID' ? 'UNKNOWN' : type.kind);

/** The parameters of a function; what is wrong with them is logged and thrown. */
export function argumentsOf(v: Verifier, subprog: Subprog): readonly SubprogArg[] {
  if (subprog.args) return subprog.args;
  const { btf } = v;
  if (!btf || !subprog.funcId) return v.reject(Errno.EINVAL);
  const func = btf.type(subprog.funcId) as BtfFunc;
  const proto = btf.type(func.type) as BtfFuncProto;
  const refuse = (message: string, errno: Errno = Errno.EINVAL): never =>
    subprog.global ? v.reject(errno, message) : v.reject(errno);
  const count = proto.params.length;
  if (count > MAX_ARGUMENTS) {
    refuse(`Global function ${func.name}() with ${count} > ${MAX_ARGUMENTS} args. Buggy compiler.`);
  }
  if (!isInteger(skip(btf, proto.returnType))) {
    refuse(`Global function ${func.name}() doesn't return scalar. Only those are supported.`);
  }
  subprog.args = proto.params.map(({ type }, i) => argumentOf(v, subprog, func, type, i));
  return subprog.args;
}

const TAGS = ['ctx', 'trusted', 'untrusted', 'nonnull', 'nullable', 'arena'] as const;
type Tag = (typeof TAGS)[number];

function tagsOf(v: Verifier, btf: Btf, subprog: Subprog, i: number): Set<Tag> {
  const tags = new Set<Tag>();
  for (const text of btf.declTagsOf(subprog.funcId, i)) {
    if (!text.startsWith('arg:')) continue;
    if (!subprog.global) {
      v.reject(Errno.EOPNOTSUPP, `arg#${i} type tag is not supported in static functions`);
    }
    const tag = TAGS.find((one) => one === text.slice('arg:'.length));
    if (!tag) return v.reject(Errno.EOPNOTSUPP, `arg#${i} has unsupported set of tags`);
    tags.add(tag);
  }
  return tags;
}

function argumentOf(v: Verifier, subprog: Subprog, func: BtfFunc, id: number, i: number): SubprogArg {
  const btf = v.btf as Btf;
  const tags = tagsOf(v, btf, subprog, i);
  const only = (...allowed: Tag[]) => {
    for (const tag of tags) {
      if (!allowed.includes(tag)) v.reject(Errno.EINVAL, `arg#${i} has invalid combination of tags`);
    }
  };
  const type = skip(btf, id);
  if (type.kind === 'PTR') {
    if (tags.has('ctx') || isContext(v, btf, type.type)) {
      only('ctx');
      if (tags.has('ctx')) checkContextTag(v, btf, type.type, i);
      return { kind: 'ctx', nullable: false };
    }
    const target = skip(btf, type.type);
    if ((isStruct(target) || target.kind === 'FWD') && target.name === 'bpf_dynptr') {
      only();
      return { kind: 'dynptr', nullable: false };
    }
    if (tags.has('trusted') || tags.has('untrusted')) {
      only(tags.has('trusted') ? 'trusted' : 'untrusted', 'nullable');
      return kernelArgument(v, btf, type.type, tags, i);
    }
    if (tags.has('arena')) {
      if (tags.size > 1) v.reject(Errno.EINVAL, `arg#${i} arena cannot be combined with any other tags`);
      return { kind: 'arena', nullable: false };
    }
    if (subprog.global) {
      only('nonnull');
      let size: number;
      try {
        size = btf.sizeOf(type.type);
      } catch {
        const name = target.kind === 'VOID' ? '' : target.name;
        return v.reject(
          Errno.EINVAL,
          `arg#${i} reference type('${kindName(target)} ${name}') size cannot be determined: -22`,
        );
      }
      return { kind: 'mem', nullable: !tags.has('nonnull'), size };
    }
  }
  if (tags.size > 0) v.reject(Errno.EINVAL, `arg#${i} has pointer tag, but is not a pointer type`);
  if (isInteger(type)) return { kind: 'anything', nullable: false };
  if (!subprog.global) return v.reject(Errno.EINVAL);
  return v.reject(Errno.EINVAL, `Arg#${i} type ${kindName(type)} in ${func.name}() is not supported yet.`);
}

/** A pointer to a structure of the kernel, found by its name there (up to `___`). */
function kernelArgument(v: Verifier, btf: Btf, id: number, tags: ReadonlySet<Tag>, i: number): SubprogArg {
  const target = skip(btf, id);
  const nullable = tags.has('nullable');
  if (tags.has('untrusted') && (target.kind === 'VOID' || isInteger(target))) {
    // Memory that nobody vouches for.
    return { kind: 'mem', nullable: false, readOnly: true, untrusted: true, size: 0 };
  }
  const kernel = v.environment.kernelTypes?.();
  const name = target.kind === 'VOID' ? '' : target.name.replace(/___.*$/, '');
  const found = (kernel?.idsByName(name) ?? []).filter((one) => kernel?.kind(one) === target.kind);
  if (!kernel || found.length !== 1) {
    const why = found.length === 0 ? 'has no matches' : 'is ambiguous';
    return v.reject(
      found.length === 0 ? Errno.ENOENT : Errno.ESRCH,
      `arg#${i} reference type('${kindName(target)} ${target.kind === 'VOID' ? '' : target.name}') ${why}`,
    );
  }
  return {
    kind: 'btf-id',
    nullable,
    ...(tags.has('trusted') ? { trusted: true } : { untrusted: true }),
    btf: kernel,
    btfId: found[0] as number,
  };
}

/** The name of the structure that programs of this type call their context. */
function contextStruct(v: Verifier): string | undefined {
  const { context } = v.rules;
  return context.kind === 'fields' || context.kind === 'memory' ? context.struct : undefined;
}

/** Typedefs are looked through, but the one of user registers says more. */
function typedefName(btf: Btf, id: number): string | undefined {
  for (let at = id, depth = 0; depth < 32; depth++) {
    const type = btf.type(at);
    if (type.kind === 'TYPEDEF') return type.name;
    if (type.kind !== 'CONST' && type.kind !== 'VOLATILE' && type.kind !== 'RESTRICT') return undefined;
    at = type.type;
  }
  return undefined;
}

/** A public structure that stands for one of the kernel's. */
export const isProjection = (shown: string, real: string): boolean =>
  (shown === '__sk_buff' && real === 'sk_buff') || (shown === 'xdp_md' && real === 'xdp_buff');

/** The type pointed to is the program type's context, by its public name or the kernel's (btf_is_prog_ctx_type). */
export function isContext(v: Verifier, btf: Btf, id: number): boolean {
  const { type } = v.program;
  if (type === ProgType.Kprobe && typedefName(btf, id) === 'bpf_user_pt_regs_t') return true;
  const target = skip(btf, id);
  if (target.kind !== 'STRUCT') return false;
  switch (type) {
    case ProgType.Kprobe:
      return target.name === 'bpf_user_pt_regs_t' || target.name === 'pt_regs';
    case ProgType.RawTracepoint:
    case ProgType.RawTracepointWritable:
      return target.name === 'bpf_raw_tracepoint_args';
    // Their contexts are no structures that have a name.
    case ProgType.Tracing:
    case ProgType.Tracepoint:
    case ProgType.Syscall:
      return false;
    default: {
      const struct = contextStruct(v);
      return struct !== undefined && (target.name === struct || isProjection(struct, target.name));
    }
  }
}

/** `arg:ctx` on a parameter of type `T *`. */
function checkContextTag(v: Verifier, btf: Btf, id: number, i: number): void {
  const { type: program, expectedAttachType: attach } = v.program;
  const user = program === ProgType.Kprobe || program === ProgType.PerfEvent;
  if (user && typedefName(btf, id) === 'bpf_user_pt_regs_t') return;
  const target = skip(btf, id);
  if (target.kind === 'VOID') return;
  if (!target.name) v.reject(Errno.EINVAL, `arg#${i} type doesn't have a name`);
  const struct = isStruct(target) ? target.name : undefined;
  const u64 = target.kind === 'INT' && target.size === 8;
  switch (program) {
    case ProgType.Kprobe:
    case ProgType.PerfEvent:
      if (struct === 'pt_regs') return;
      break;
    case ProgType.RawTracepoint:
    case ProgType.RawTracepointWritable:
    case ProgType.Lsm:
    case ProgType.StructOps:
      if (u64) return;
      break;
    case ProgType.Tracing:
      if (attach === AttachType.TraceRawTp && (struct === 'bpf_raw_tracepoint_args' || u64)) return;
      if (attach === AttachType.TraceIter && struct?.startsWith('bpf_iter__')) return;
      if (
        u64 &&
        (attach === AttachType.TraceFentry ||
          attach === AttachType.TraceFexit ||
          attach === AttachType.ModifyReturn)
      ) {
        return;
      }
      break;
    case ProgType.Tracepoint:
    case ProgType.Syscall:
    case ProgType.Ext:
      return;
    default:
  }
  const canonical =
    program === ProgType.RawTracepoint || program === ProgType.RawTracepointWritable
      ? 'bpf_raw_tracepoint_args'
      : contextStruct(v);
  const plain =
    program === ProgType.Tracing || program === ProgType.Lsm || program === ProgType.StructOps || !canonical;
  if (plain) v.reject(Errno.EINVAL, `arg#${i} should be void pointer`);
  if (struct !== canonical) v.reject(Errno.EINVAL, `arg#${i} should be \`struct ${canonical} *\``);
}

/** What is passed must be what the function was verified with. */
export function checkGlobalArguments(v: Verifier, subprog: Subprog): void {
  const { d } = v;
  argumentsOf(v, subprog).forEach((arg, i) => {
    const number = i + 1;
    const r = v.reg(number);
    const type = d.type(r);
    const offset = () => checkOffset(v, number, { kind: 'anything' });
    switch (arg.kind) {
      case 'anything':
        if (type !== L.SCALAR) v.reject(Errno.EINVAL, `R${number} is not a scalar`);
        break;
      case 'ctx':
        offset();
        if (type !== L.CTX) v.reject(Errno.EINVAL, `arg#${i} expects pointer to ctx`);
        break;
      case 'mem':
        if (arg.untrusted) break;
        offset();
        checkPassedMemory(v, number, arg.size ?? 0);
        if (!arg.nullable && mayBeNull(type)) {
          v.reject(Errno.EINVAL, `arg#${i} is expected to be non-NULL`);
        }
        break;
      case 'arena':
        if (type !== L.ARENA && type !== L.SCALAR) {
          v.reject(Errno.EINVAL, `R${number} is not a pointer to arena or scalar.`);
        }
        break;
      case 'dynptr':
        checkOffset(v, number, { kind: 'dynptr' });
        checkDynptrParameter(v, number);
        break;
      default:
        if (arg.untrusted || (isNull(v, r) && arg.nullable)) break;
        matchesKernelType(v, number, arg);
    }
  });
}

/** Memory that may be null is as good as memory: the function tests it. It is read and written there. */
function checkPassedMemory(v: Verifier, number: number, size: number): void {
  const { d } = v;
  const r = v.reg(number);
  if (isNull(v, r)) return;
  const saved = d.temporary[2];
  const null_ = mayBeNull(d.type(r));
  if (null_) {
    d.copyReg(saved, r);
    markNotNull(v, r);
  }
  try {
    checkMemory(v, number, size, 'read', true);
    checkMemory(v, number, size, 'write', true);
  } catch (error) {
    // Whatever was wrong with it, the argument is what does not fit.
    throw error instanceof Rejection ? new Rejection(Errno.EINVAL) : error;
  } finally {
    if (null_) d.copyReg(v.reg(number), saved);
  }
}

/** Registers of a global function that is verified by itself. */
export function enterGlobal(v: Verifier, subprog: Subprog): void {
  const { d } = v;
  const args = argumentsOf(v, subprog);
  if (subprog.isExceptionCallback) {
    d.set(v.frame, L.Frame_inExceptionCallback, 1);
    if (args.length !== 1 || args[0]?.kind !== 'anything') {
      v.reject(Errno.EINVAL, 'exception cb only supports single integer argument');
    }
  }
  args.forEach((arg, i) => {
    const r = v.reg(i + 1);
    const null_ = arg.nullable ? L.MAYBE_NULL : 0;
    switch (arg.kind) {
      case 'ctx':
        markPointer(v, r, L.CTX);
        break;
      case 'dynptr':
        setDynptrArgument(v, r);
        break;
      case 'mem':
        markPointer(v, r, L.MEM | null_ | (arg.readOnly ? L.RDONLY : 0) | (arg.untrusted ? L.UNTRUSTED : 0));
        d.setObject(r, 0, arg.size ?? 0);
        if (!arg.untrusted) d.setId(r, v.newId());
        break;
      case 'btf-id':
        markPointer(
          v,
          r,
          L.BTF_ID | null_ | (arg.trusted ? L.TRUSTED : 0) | (arg.untrusted ? L.UNTRUSTED : 0),
        );
        d.setObject(r, 0, v.btfNumber(arg.btf as Btf));
        d.setObject(r, 1, arg.btfId ?? 0);
        d.setId(r, v.newId());
        break;
      default:
        markUnknown(v, r);
    }
  });
}

/** The main function's BTF is only looked at: what is wrong with it is said, and it counts for nothing then. */
export function checkMainPrototype(v: Verifier): void {
  const main = v.subprogs[0] as Subprog;
  if (!main.funcId) return;
  try {
    argumentsOf(v, main);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'Rejection') throw error;
  }
}
