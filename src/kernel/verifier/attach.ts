// What a tracing, LSM or struct_ops program is attached to: a function, tracepoint or structure member of the kernel,
// found by BTF id, whose prototype types the program's context (Linux: check_attach_btf_id).

import { Errno } from '../../bpf/errno.js';
import { AttachType, ProgType } from '../../bpf/types.js';
import type { Btf, BtfFuncProto, BtfType } from '../../btf/index.js';
import { kernelBtf } from './kernel-types.js';
import {
  deniedFunctions,
  disabledLsmHooks,
  lsmReturn,
  neverReturning,
  sleepableLsmHooks,
} from './tables/hooks.js';
import { iteratorRules } from './tables/iterators.js';
import { kfunc } from './tables/kfuncs.js';
import { structOps } from './tables/struct-ops.js';
import type { ContextPointer } from './tables/types.js';
import type { Verifier } from './verifier.js';

export interface AttachTarget {
  readonly btf: Btf;
  /** As the log names it: of a tracepoint without `btf_trace_`, of a structure's member the member. */
  readonly name: string;
  readonly proto: BtfFuncProto;
  readonly tracepoint?: true;
  /** What the kernel says of slots beside BTF, by position. */
  readonly slots?: readonly (ContextPointer | undefined)[];
  /** The structure of struct_ops. */
  readonly struct?: string;
}

const TRACEPOINT = 'btf_trace_';
/** MAX_BPF_FUNC_ARGS, and the most bytes that one may have. */
const MAX_ARGUMENTS = 12;
const MAX_ARGUMENT_SIZE = 16;

/** The program's target; undefined for types that have none. What is wrong with it is logged and thrown. */
export function findTarget(v: Verifier): AttachTarget | undefined {
  const { type, expectedAttachType: attach } = v.program;
  const { sleepable } = v.rules;
  if (type === ProgType.Syscall) {
    if (v.programSleepable) return undefined;
    return v.reject(Errno.EINVAL, 'Syscall programs can only be sleepable');
  }
  if (
    v.programSleepable &&
    sleepable !== 'yes' &&
    !(Array.isArray(sleepable) && sleepable.includes(attach))
  ) {
    v.reject(
      Errno.EINVAL,
      'Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable',
    );
  }
  switch (type) {
    case ProgType.StructOps:
      return structMember(v);
    case ProgType.Tracing:
    case ProgType.Lsm:
    case ProgType.Ext:
      return kernelFunction(v);
    default:
      return undefined;
  }
}

/** The BTF that `attachBtfId` is an id of. */
function targetBtf(v: Verifier): Btf {
  const { attachBtfObjFd: fd, attachProgFd } = v.program;
  if (attachProgFd) {
    return v.reject(Errno.ENOTSUPP, 'programs that attach to other programs are not supported');
  }
  if (!fd) return kernelBtf(v);
  return v.environment.btf(fd) ?? v.reject(Errno.EINVAL);
}

/** What an LSM hook may answer; undefined when there is no rule for it. */
export function hookRange(v: Verifier): readonly [number, number] | undefined {
  if (v.program.type !== ProgType.Lsm || !v.attach) return undefined;
  const cgroup = v.program.expectedAttachType === AttachType.LsmCgroup;
  const range = lsmReturn(v.attach.name, v.targetReturnsVoid, cgroup);
  return range === 'any' ? undefined : range;
}

// ---- structures of functions

function structMember(v: Verifier): AttachTarget {
  const { attachBtfId: id, expectedAttachType: index } = v.program;
  if (!v.gplCompatible) v.reject(Errno.EINVAL, 'struct ops programs must have a GPL compatible license');
  if (!id) return v.reject(Errno.ENOTSUPP);
  const btf = targetBtf(v);
  const type = id < btf.typeCount ? btf.type(id) : undefined;
  if (type?.kind !== 'STRUCT' || btf.findByName(`bpf_struct_ops_${type.name}`, 'STRUCT') === undefined) {
    return v.reject(Errno.ENOTSUPP, `attach_btf_id ${id} is not a supported struct`);
  }
  const member = type.members[index];
  if (!member) {
    return v.reject(Errno.EINVAL, `attach to invalid member idx ${index} of struct ${type.name}`);
  }
  const pointer = btf.type(btf.skipModifiers(member.type));
  const proto = pointer.kind === 'PTR' ? btf.type(btf.skipModifiers(pointer.type)) : undefined;
  if (proto?.kind !== 'FUNC_PROTO') {
    return v.reject(
      Errno.EINVAL,
      `attach to invalid member ${member.name}(@idx ${index}) of struct ${type.name}`,
    );
  }
  const rules = structOps[type.name];
  const unsupported = (errno: Errno) =>
    v.reject(errno, `attach to unsupported member ${member.name} of struct ${type.name}`);
  if (rules?.unsupported?.includes(member.name)) unsupported(Errno.ENOTSUPP);
  if (v.programSleepable && rules?.sleepable && !rules.sleepable.includes(member.name)) {
    unsupported(Errno.EINVAL);
  }
  const slots = nullableSlots(btf, type.name, member.name, proto);
  return { btf, name: member.name, proto, struct: type.name, ...(slots ? { slots } : {}) };
}

/** Arguments that may be NULL: the kernel's default implementation, or a table, names them. */
function nullableSlots(
  btf: Btf,
  struct: string,
  member: string,
  proto: BtfFuncProto,
): readonly (ContextPointer | undefined)[] | undefined {
  const func = btf.findByName(`${struct}__${member}`, 'FUNC');
  const type = func === undefined ? undefined : btf.type(func);
  const stub = type?.kind === 'FUNC' ? btf.type(type.type) : undefined;
  const listed = structOps[struct]?.nullable?.[member] ?? [];
  const named = stub?.kind === 'FUNC_PROTO' ? stub.params : [];
  const slots = proto.params.map((param, i): ContextPointer | undefined => {
    if (!listed.includes(i) && !named[i]?.name.endsWith('__nullable')) return undefined;
    const pointer = btf.type(btf.skipModifiers(param.type));
    if (pointer.kind !== 'PTR') return undefined;
    const name = btf.nameOf(btf.skipModifiers(pointer.type));
    return { kind: 'btf-id', btf: name, nullable: true, trusted: true };
  });
  return slots.some((slot) => slot) ? slots : undefined;
}

// ---- functions, tracepoints, iterators

function kernelFunction(v: Verifier): AttachTarget {
  const { type, expectedAttachType: attach, attachBtfId: id } = v.program;
  if (!id) return v.reject(Errno.EINVAL, 'Tracing programs must provide btf_id');
  const btf = targetBtf(v);
  if (id >= btf.typeCount) return v.reject(Errno.EINVAL, `attach_btf_id ${id} is invalid`);
  const named = btf.type(id);
  if (!named.name) v.reject(Errno.EINVAL, `attach_btf_id ${id} doesn't have a name`);
  if (type === ProgType.Ext) return v.reject(Errno.EINVAL, 'Cannot replace kernel functions');
  if (attach === AttachType.TraceRawTp) return tracepoint(v, btf, named);
  const traced =
    type === ProgType.Lsm
      ? attach === AttachType.LsmMac || attach === AttachType.LsmCgroup
      : TRACED.has(attach);
  if (!traced) v.reject(Errno.EINVAL);
  if (named.kind !== 'FUNC') return v.reject(Errno.EINVAL, `attach_btf_id ${id} is not a function`);
  const proto = btf.type(named.type);
  if (proto.kind !== 'FUNC_PROTO') return v.reject(Errno.EINVAL);
  const resultSize = checkPrototype(v, btf, named.name, proto);
  const target: AttachTarget = { btf, name: named.name, proto };
  if (attach === AttachType.TraceIter) {
    const rules = iteratorRules(named.name);
    if (!rules || !named.name.startsWith('bpf_iter_')) return v.reject(Errno.EINVAL);
    return { ...target, slots: [undefined, ...rules.slots] };
  }
  if (resultSize > 8 && RESULT_USERS.has(attach)) {
    v.reject(
      Errno.EOPNOTSUPP,
      `Attach to function ${named.name} with a >8 byte return value is not supported for this attach type`,
    );
  }
  if (v.programSleepable && !maySleep(v, named.name)) {
    v.reject(Errno.EINVAL, `${named.name} is not sleepable`);
  }
  if (!v.programSleepable && attach === AttachType.ModifyReturn && !mayModify(named.name)) {
    v.reject(Errno.EINVAL, `${named.name}() is not modifiable`);
  }
  if (type === ProgType.Lsm) checkHook(v, id, named.name);
  else checkTraced(v, named.name);
  return target;
}

const TRACED: ReadonlySet<AttachType> = new Set([
  AttachType.TraceIter,
  AttachType.TraceFentry,
  AttachType.TraceFexit,
  AttachType.ModifyReturn,
]);
/** The trampoline keeps the function's result for them. */
const RESULT_USERS: ReadonlySet<AttachType> = new Set([
  AttachType.TraceFexit,
  AttachType.ModifyReturn,
  AttachType.LsmMac,
]);

function tracepoint(v: Verifier, btf: Btf, named: BtfType): AttachTarget {
  if (named.kind !== 'TYPEDEF') {
    return v.reject(Errno.EINVAL, `attach_btf_id ${named.id} is not a typedef`);
  }
  if (!named.name.startsWith(TRACEPOINT)) {
    return v.reject(Errno.EINVAL, `attach_btf_id ${named.id} points to wrong type name ${named.name}`);
  }
  const name = named.name.slice(TRACEPOINT.length);
  // The function behind a tracepoint has names for its parameters; its type has not.
  const func = btf.findByName(`__bpf_trace_${name}`, 'FUNC');
  const found = btf.type(func ?? named.type);
  const proto = found.kind === 'FUNC' || found.kind === 'PTR' ? btf.type(found.type) : undefined;
  if (proto?.kind !== 'FUNC_PROTO') return v.reject(Errno.EINVAL);
  return { btf, name, proto, tracepoint: true };
}

/** The function's arguments and result are such as a trampoline can pass; the bytes of the result (btf_distill_func_proto). */
function checkPrototype(v: Verifier, btf: Btf, name: string, proto: BtfFuncProto): number {
  const { params } = proto;
  const refuse = (message: string) => v.reject(Errno.EINVAL, `The function ${name} ${message}`);
  if (params.length > MAX_ARGUMENTS) refuse(`has ${params.length} arguments. Too many.`);
  const kind = (id: number) => {
    const type = btf.type(btf.skipModifiers(id));
    return type.kind === 'VOID' ? 'UNKNOWN' : type.kind;
  };
  const result = sizeOf(btf, proto.returnType);
  if (result === undefined || kind(proto.returnType) === 'STRUCT') {
    return refuse(`return type ${kind(proto.returnType)} is unsupported.`);
  }
  for (const [i, { type }] of params.entries()) {
    if (i === params.length - 1 && type === 0) refuse('with variable args is unsupported.');
    const size = sizeOf(btf, type);
    if (size === undefined || size > MAX_ARGUMENT_SIZE) refuse(`arg${i} type ${kind(type)} is unsupported.`);
    if (size === 0) refuse('has malformed void argument.');
  }
  return result;
}

/** Bytes of an argument; undefined for what cannot be one. */
function sizeOf(btf: Btf, id: number): number | undefined {
  const type = btf.type(btf.skipModifiers(id));
  switch (type.kind) {
    case 'VOID':
      return 0;
    case 'PTR':
      return 8;
    case 'INT':
    case 'ENUM':
    case 'ENUM64':
    case 'STRUCT':
      return type.size;
    default:
      return undefined;
  }
}

/** System calls: errors may be injected there, so that programs may sleep there and change the result. */
const isSystemCall = (name: string): boolean => /^__(x64|ia32)_sys_/.test(name);

function maySleep(v: Verifier, name: string): boolean {
  if (v.program.type === ProgType.Lsm) return sleepableLsmHooks.has(name.replace(/^bpf_lsm_/, ''));
  const row = kfunc(name);
  return isSystemCall(name) || (row?.hooks.includes('fmod-ret') === true && row.flags.sleepable === true);
}

function mayModify(name: string): boolean {
  return (
    isSystemCall(name) || name.startsWith('security_') || kfunc(name)?.hooks.includes('fmod-ret') === true
  );
}

function checkHook(v: Verifier, id: number, name: string): void {
  if (!v.gplCompatible) v.reject(Errno.EINVAL, 'LSM programs must have a GPL compatible license');
  const hook = name.replace(/^bpf_lsm_/, '');
  if (disabledLsmHooks.has(hook)) {
    v.reject(Errno.EINVAL, `attach_btf_id ${id} points to disabled hook ${name}`);
  }
  if (hook === name) v.reject(Errno.EINVAL, `attach_btf_id ${id} points to wrong type name ${name}`);
}

function checkTraced(v: Verifier, name: string): void {
  if (deniedFunctions.has(name)) v.reject(Errno.EINVAL);
  const { expectedAttachType: attach } = v.program;
  if (!neverReturning.has(name)) return;
  if (attach === AttachType.TraceFexit || attach === AttachType.ModifyReturn) {
    v.reject(Errno.EINVAL, 'Attaching fexit/fmod_ret to __noreturn functions is rejected.');
  }
}
