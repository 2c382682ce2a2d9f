// The functions of a program: where they begin, that jumps stay inside them, and what BTF says of each.

import { Errno } from '../../bpf/errno.js';
import type { BtfFunc, BtfFuncProto } from '../../btf/index.js';
import { CallSource, InsnClass, JumpOp, Mode, PseudoSource } from '../../isa/opcodes.js';
import { addKfunc } from './kfuncs.js';
import { ProgramLines } from './lines.js';
import type { Subprog, Verifier } from './verifier.js';

/** BPF_MAX_SUBPROGS. */
const MAX_SUBPROGS = 256;
const TAIL_CALL = 12;

const LD_IMM64 = 0x18;
const CALL = InsnClass.JMP | JumpOp.CALL;
const EXIT = InsnClass.JMP | JumpOp.EXIT;
const JA = InsnClass.JMP | JumpOp.JA;
const GOTOL = InsnClass.JMP32 | JumpOp.JA;

export const isLdImm64 = (v: Verifier, slot: number): boolean => v.code[slot] === LD_IMM64;
export const isLocalCall = (v: Verifier, slot: number): boolean =>
  v.code[slot] === CALL && v.src[slot] === CallSource.LOCAL;
export const isHelperCall = (v: Verifier, slot: number): boolean =>
  v.code[slot] === CALL && v.src[slot] === CallSource.HELPER;
export const isKfuncCall = (v: Verifier, slot: number): boolean =>
  v.code[slot] === CALL && v.src[slot] === CallSource.KFUNC;
/** `ld_imm64` of a subprogram's address. */
export const isFunctionAddress = (v: Verifier, slot: number): boolean =>
  v.code[slot] === LD_IMM64 && v.src[slot] === PseudoSource.FUNC;
export const isMayGoto = (v: Verifier, slot: number): boolean =>
  v.code[slot] === (InsnClass.JMP | JumpOp.JCOND) && v.src[slot] === 0;

/** Where a jump (conditional or not) leads. */
export function jumpTarget(v: Verifier, slot: number): number {
  const distance = v.code[slot] === GOTOL ? (v.imm[slot] as number) : (v.off[slot] as number);
  return slot + distance + 1;
}
export const callTarget = (v: Verifier, slot: number): number => slot + (v.imm[slot] as number) + 1;

/** Finds where functions begin: at 0 and wherever calls and function addresses lead. */
export function findFunctions(v: Verifier): void {
  const starts = new Set<number>();
  const add = (at: number) => {
    if (at >= v.length || at < 0) v.reject(Errno.EINVAL, 'call to invalid destination');
    if (starts.has(at)) return;
    if (starts.size >= MAX_SUBPROGS) v.reject(Errno.E2BIG, 'too many subprograms');
    starts.add(at);
  };
  add(0);
  for (let i = 0; i < v.length; i++) {
    const local = isFunctionAddress(v, i) || isLocalCall(v, i);
    if (!local && !isKfuncCall(v, i)) continue;
    if (!v.bpfCapable) {
      v.reject(
        Errno.EPERM,
        'loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN',
      );
    }
    if (local) add(callTarget(v, i));
    else addKfunc(v, i);
  }
  const exceptionCallback = exceptionCallbackStart(v);
  if (exceptionCallback) add(exceptionCallback);
  const sorted = [...starts].sort((a, b) => a - b);
  const infos = functionInfos(v);
  sorted.forEach((start, i) => {
    const info = infos.get(start);
    v.subprogs.push({
      start,
      end: sorted[i + 1] ?? v.length,
      name: info?.name ?? '',
      funcId: info?.id ?? 0,
      global: info?.linkage === 'global',
      stackDepth: 0,
      fastcallStackOff: -32768,
      keepFastcallStack: false,
      hasTailCall: false,
      tailCallReachable: false,
      hasLdAbs: false,
      changesPacket: false,
      mightSleep: false,
      isCallback: false,
      isAsyncCallback: false,
      isExceptionCallback: exceptionCallback !== 0 && start === exceptionCallback,
      called: false,
      verified: false,
      privateStack: 'unknown',
    });
  });
  if (exceptionCallback) {
    const subprog = v.subprogs.find(({ isExceptionCallback }) => isExceptionCallback) as Subprog;
    subprog.isCallback = true;
    subprog.isAsyncCallback = true;
  }
  if (v.log.verbose) {
    for (const [i, { start }] of v.subprogs.entries()) v.log.write(`func#${i} @${start}\n`);
  }
}

/** Slot at which the main function's `exception_callback:` tag points; 0 for none. */
function exceptionCallbackStart(v: Verifier): number {
  const infos = functionInfos(v);
  const main = infos.get(0);
  if (!v.btf || !main) return 0;
  const prefix = 'exception_callback:';
  const tags = v.btf.declTagsOf(main.id).filter((tag) => tag.startsWith(prefix));
  if (tags.length === 0) return 0;
  if (tags.length > 1) {
    v.reject(Errno.EEXIST, 'multiple exception callback tags for main subprog');
  }
  const name = (tags[0] as string).slice(prefix.length);
  const id = v.btf.findByName(name, 'FUNC');
  if (id === undefined) v.reject(Errno.EINVAL, `exception callback '${name}' could not be found in BTF`);
  const func = v.btf.type(id as number) as BtfFunc;
  if (func.linkage !== 'global') {
    v.reject(Errno.EINVAL, `exception callback '${name}' must have global linkage`);
  }
  for (const [start, info] of infos) {
    if (info.id !== id) continue;
    if (start === 0) v.reject(Errno.EINVAL, 'invalid exception callback insn offset: 0');
    return start;
  }
  return v.reject(Errno.ENOENT, `exception callback '${name}' could not be found in BTF`);
}

/** The FUNCs of func_info, by slot. Their records were checked by `checkFuncInfo`. */
function functionInfos(v: Verifier): Map<number, BtfFunc> {
  const infos = new Map<number, BtfFunc>();
  const { funcInfo } = v.program;
  if (!funcInfo || !v.btf) return infos;
  const view = new DataView(funcInfo.buffer, funcInfo.byteOffset, funcInfo.byteLength);
  for (let at = 0; at + 8 <= view.byteLength; at += 8) {
    infos.set(view.getUint32(at, true), v.btf.type(view.getUint32(at + 4, true)) as BtfFunc);
  }
  return infos;
}

/** What func_info must be before anything else is known (check_btf_func_early). */
export function checkFuncInfo(v: Verifier): void {
  const { funcInfo, lineInfo, progBtfFd } = v.program;
  if (!funcInfo?.length && !lineInfo?.length) return;
  const btf = v.environment.btf(progBtfFd ?? 0);
  if (!btf) v.reject(Errno.EBADF);
  v.btf = btf;
  v.btfNumber(btf);
  if (!funcInfo?.length) return;
  const view = new DataView(funcInfo.buffer, funcInfo.byteOffset, funcInfo.byteLength);
  let previous = 0;
  for (let at = 0; at < funcInfo.length; at += 8) {
    const slot = view.getUint32(at, true);
    const id = view.getUint32(at + 4, true);
    // Linux ends these lines with nothing.
    const fail = (message: string): never => {
      v.log.write(message);
      return v.reject(Errno.EINVAL);
    };
    if (at === 0 && slot) fail(`nonzero insn_off ${slot} for the first func info record`);
    if (at > 0 && slot <= previous) {
      fail(`same or smaller insn offset (${slot}) than previous func info record (${previous})`);
    }
    if (id >= btf.typeCount || btf.kind(id) !== 'FUNC') fail(`invalid type id ${id} in func info`);
    previous = slot;
  }
}

const isIntLike = (v: Verifier, id: number): boolean => {
  const type = v.btf?.type(v.btf.skipModifiers(id));
  if (type?.kind === 'INT') return [1, 2, 4, 8].includes(type.size);
  return type?.kind === 'ENUM' || type?.kind === 'ENUM64';
};

/** func_info and line_info against the functions that were found (check_btf_info). */
export function checkBtfInfo(v: Verifier): void {
  const { funcInfo, lineInfo } = v.program;
  if (!funcInfo?.length) {
    for (const subprog of v.subprogs.slice(1)) {
      if (subprog.hasLdAbs) v.reject(Errno.EINVAL, 'LD_ABS is not allowed in subprogs without BTF');
      if (subprog.hasTailCall) v.reject(Errno.EINVAL, 'tail_call is not allowed in subprogs without BTF');
    }
  } else {
    if (funcInfo.length / 8 !== v.subprogs.length) {
      v.reject(Errno.EINVAL, "number of funcs in func_info doesn't match number of subprogs");
    }
    const view = new DataView(funcInfo.buffer, funcInfo.byteOffset, funcInfo.byteLength);
    v.subprogs.forEach((subprog, i) => {
      if (view.getUint32(i * 8, true) !== subprog.start) {
        v.reject(Errno.EINVAL, "func_info BTF section doesn't match subprog layout in BPF program");
      }
      const func = v.btf?.type(subprog.funcId) as BtfFunc;
      const proto = v.btf?.type(func.type) as BtfFuncProto;
      if (i === 0 || isIntLike(v, proto.returnType)) return;
      if (subprog.hasLdAbs) v.reject(Errno.EINVAL, "LD_ABS is only allowed in functions that return 'int'.");
      if (subprog.hasTailCall) {
        v.reject(Errno.EINVAL, "tail_call is only allowed in functions that return 'int'.");
      }
    });
  }
  if (lineInfo?.length && v.btf) v.lines = new ProgramLines(v, lineInfo, v.btf);
}

/** Jumps stay inside their function, and no function runs into the next (check_subprogs). */
export function checkFunctions(v: Verifier): void {
  let number = 0;
  let subprog = v.subprogs[0] as Subprog;
  for (let i = 0; i < v.length; i++) {
    const code = v.code[i] as number;
    const cls = code & 7;
    if (isHelperCall(v, i) && v.imm[i] === TAIL_CALL) {
      subprog.hasTailCall = true;
      subprog.tailCallReachable = true;
    }
    const mode = code & 0xe0;
    if (cls === InsnClass.LD && (mode === Mode.ABS || mode === Mode.IND)) subprog.hasLdAbs = true;
    const op = code & 0xf0;
    if ((cls === InsnClass.JMP || cls === InsnClass.JMP32) && op !== JumpOp.EXIT && op !== JumpOp.CALL) {
      const target = jumpTarget(v, i);
      if (target < subprog.start || target >= subprog.end) {
        v.reject(Errno.EINVAL, `jump out of range from insn ${i} to ${target}`);
      }
    }
    if (i !== subprog.end - 1) continue;
    if (code !== EXIT && code !== GOTOL && code !== JA) {
      v.reject(Errno.EINVAL, 'last insn is not an exit or jmp');
    }
    subprog = v.subprogs[++number] ?? subprog;
  }
}
