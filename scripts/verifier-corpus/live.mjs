// The live kernel measured by the selftests' own expectations: what a verifier that decides as this kernel does can reach.

import { missingMessage } from './messages.mjs';
import { readRecordings, recordedObjects } from './recording.mjs';
import { untestable } from './run.mjs';

/** Figures of the kernel itself, and why tests were left out. */
export function liveScores(set) {
  const f = {
    programs: 0,
    testable: 0,
    accepts: 0,
    verdict: 0,
    messages: 0,
    messagesAsked: 0,
    retval: 0,
    retvalAsked: 0,
  };
  const f2 = { tests: 0, verdict: 0, messages: 0, messagesAsked: 0 };
  const left = new Map();
  for (const object of recordedObjects(set)) {
    for (const test of readRecordings(set, object)) {
      f.programs++;
      const reason = untestable(test);
      if (reason !== undefined) {
        left.set(reason, (left.get(reason) ?? 0) + 1);
        continue;
      }
      f.testable++;
      const { priv: expected, unpriv } = test.expect;
      const { priv, bpf } = test;
      if (priv.accepted) f.accepts++;
      if (expected && priv.accepted === !expected.fail) f.verdict++;
      if (expected?.messages.length) {
        f.messagesAsked++;
        if (missingMessage(priv.log + (priv.tail ?? ''), expected.messages) === undefined) f.messages++;
      }
      if (expected?.retval !== undefined && !expected.fail) {
        f.retvalAsked++;
        if (expected.retval === 'any' || priv.retval >>> 0 === expected.retval >>> 0) f.retval++;
      }
      if (unpriv) {
        f2.tests++;
        if (bpf.accepted === !unpriv.fail) f2.verdict++;
        if (unpriv.messages.length) {
          f2.messagesAsked++;
          if (missingMessage(bpf.log + (bpf.tail ?? ''), unpriv.messages) === undefined) f2.messages++;
        }
      }
    }
  }
  return {
    ...f,
    unprivilegedWithCapBpf: f2,
    left: Object.fromEntries([...left].sort((a, b) => b[1] - a[1])),
  };
}
