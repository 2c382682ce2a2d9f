// Verification from the first check to the last, and what it says (Linux: bpf_check).

import { Errno } from '../../bpf/errno.js';
import { checkCapabilities, checkTailCalls } from './capabilities.js';
import { checkCfg, findComponents } from './cfg.js';
import { layout as L } from './domain.js';
import { explore } from './explore.js';
import { markFastcalls, settleStack } from './fastcall.js';
import { checkBtfInfo, checkFuncInfo, checkFunctions, findFunctions } from './functions.js';
import { checkMainPrototype, enterGlobal } from './global-functions.js';
import { findLiveRegisters } from './live-registers.js';
import { LogLevel } from './log.js';
import { pushFrame } from './paths.js';
import type { Environment, ProgramToVerify, Verdict } from './program.js';
import { markPointer } from './registers.js';
import { resolveLoads } from './resolve-imm64.js';
import { factsOf, type RewriteFacts } from './rewrites/facts.js';
import { checkStackDepth } from './stack-depth.js';
import { StackLiveness } from './stack-liveness.js';
import { Rejection, type Subprog, Verifier } from './verifier.js';

/** Decides whether Linux 6.18 would accept the program in this environment, and says it as Linux does. */
export function verify(program: ProgramToVerify, environment: Environment): Verdict {
  if (environment.lacking?.programTypes?.includes(program.type)) return unknownType;
  const start = performance.now();
  const v = new Verifier(program, environment);
  let errno = 0;
  try {
    check(v);
  } catch (error) {
    // The states of a program that gathers more and more do not fit into any memory.
    if (error instanceof WebAssembly.RuntimeError) errno = Errno.ENOMEM;
    else if (error instanceof Rejection) errno = error.errno;
    else throw error;
  }
  const facts = errno ? undefined : factsOf(v);
  printFigures(v, performance.now() - start, facts);
  return {
    accepted: errno === 0,
    errno,
    log: v.log.text,
    processed: v.processed,
    totalStates: v.totalStates,
    peakStates: v.peakStates,
    maxStatesPerInsn: v.maxStatesPerInsn,
    markRead: v.longestMarkRead,
    contextSize: v.contextSize,
    stackDepths: v.subprogs.map(({ stackDepth }) => stackDepth),
    memory: v.d.peakBytes,
    ...(facts ? { facts } : { at: v.insn }),
  };
}

/** A kernel without the program's type does not begin to verify it. */
const unknownType: Verdict = {
  accepted: false,
  errno: Errno.EINVAL,
  log: '',
  processed: 0,
  totalStates: 0,
  peakStates: 0,
  maxStatesPerInsn: 0,
  markRead: 0,
  contextSize: 0,
  stackDepths: [],
  memory: 0,
};

function check(v: Verifier): void {
  checkCapabilities(v);
  checkFuncInfo(v);
  findFunctions(v);
  checkFunctions(v);
  checkBtfInfo(v);
  resolveLoads(v);
  checkCfg(v);
  v.stackLiveness = new StackLiveness(v);
  v.checkAttach();
  findComponents(v);
  findLiveRegisters(v);
  markFastcalls(v);
  exploreFunction(v, 0);
  // An exception may always be thrown.
  for (const subprog of v.subprogs) if (subprog.isExceptionCallback) subprog.called = true;
  // Global functions that are called, until there are no new ones.
  for (let found = true; found; ) {
    found = false;
    v.subprogs.forEach((subprog, i) => {
      if (i === 0 || !subprog.global || !subprog.called || subprog.verified) return;
      found = true;
      exploreFunction(v, i);
      subprog.verified = true;
      if (v.log.path) {
        v.log.write(`Func#${i} ('${subprog.name}') is safe for any args that match its prototype\n`);
      }
    });
  }
  settleStack(v);
  checkStackDepth(v);
  checkTailCalls(v);
}

/** Follows a function from its entry: the main one with the context, a global one with what BTF says. */
function exploreFunction(v: Verifier, number: number): void {
  const { d } = v;
  const subprog = v.subprogs[number] as Subprog;
  const state = d.stateNew();
  v.state = state;
  d.set(state, L.State_branches, 1);
  d.set(state, L.State_sleepable, v.programSleepable ? 1 : 0);
  pushFrame(v, state, 0, -1, number);
  v.insn = subprog.start;
  v.previousInsn = -1;
  d.set(state, L.State_firstInsn, subprog.start);
  d.set(state, L.State_lastInsn, -1);
  v.visits.clear();
  v.stackLiveness.chainChanged();
  if (v.log.needed && number > 0) v.log.write(`Validating ${subprog.name}() func#${number}...\n`);
  if (number > 0) {
    enterGlobal(v, subprog);
  } else {
    checkMainPrototype(v);
    markPointer(v, d.reg(v.frame, 1), L.CTX);
  }
  v.scratchAll();
  explore(v);
  // At level 1 only what failed is shown.
  if (!v.log.verbose) v.log.reset(0);
  v.forgetAll();
}

function printFigures(v: Verifier, milliseconds: number, facts: RewriteFacts | undefined): void {
  if (v.log.level & LogLevel.STATISTICS) {
    const depths = v.subprogs.map(({ stackDepth }) => stackDepth);
    // Who throws and does not catch is given a function that catches.
    if (facts?.throws && !v.subprogs.some(({ isExceptionCallback }) => isExceptionCallback)) depths.push(0);
    v.log.write(`verification time ${Math.round(milliseconds * 1000)} usec\n`);
    v.log.write(`stack depth ${depths.join('+')}\n`);
  }
  v.log.write(
    `processed ${v.processed} insns (limit 1000000) max_states_per_insn ${v.maxStatesPerInsn} ` +
      `total_states ${v.totalStates} peak_states ${v.peakStates} mark_read ${v.longestMarkRead}\n`,
  );
}

export { Errno };
