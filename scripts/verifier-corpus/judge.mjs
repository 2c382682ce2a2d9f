// One test judged: ours against the live kernel. The result is plain, so that it can cross from a worker.

import { addressSlots, differences, reasonOf } from './lines.mjs';
import { missingMessage } from './messages.mjs';
import { prepare, run } from './ours.mjs';

/** Lines of an internal error that a person reads. */
const whatThrew = (error) =>
  error instanceof Error
    ? `${error.message}\n${(error.stack ?? '').split('\n').slice(1, 6).join('\n')}`
    : String(error);

/** Hunks beyond this one are left out, and lines beyond a few. */
const HUNKS = 40;
const brief = ({ total, same, hunks }) => ({
  total,
  same,
  hunks: hunks
    .slice(0, HUNKS)
    .map((hunk) => ({ ...hunk, kernel: hunk.kernel.slice(0, 12), ours: hunk.ours.slice(0, 12) })),
});

/** Whether the kernel's own log satisfies what is expected in this mode; undefined when nothing is expected. */
export function liveMessages(test, mode) {
  const messages = (mode === 'priv' ? test.expect?.priv : test.expect?.unpriv)?.messages ?? [];
  const live = test[mode];
  if (messages.length === 0 || live === undefined) return undefined;
  return missingMessage(live.log + (live.tail ?? ''), messages) === undefined;
}

/**
 * Judges ours. `logs`: keep our logs for printing; `full`: compare the logs of level 6, too. For mode `unpriv` without a
 * verdict of the live kernel the expectation stands in its place.
 */
export function judge(test, mode, { logs = false, full = true } = {}) {
  const live = test[mode];
  const expected = mode === 'priv' ? test.expect.priv : test.expect.unpriv;
  const accepted = live ? live.accepted : !expected.fail;
  const messages = expected?.messages ?? [];
  const result = {
    id: test.id,
    mode,
    live: {
      accepted,
      errno: live?.errno,
      processed: live?.processed,
      totalStates: live?.totalStates,
      milliseconds: live?.milliseconds,
    },
  };
  let prepared;
  let verdict;
  try {
    prepared = prepare(test, mode);
    // The better of two, as the kernel's is the best of three: the first one may meet code that was never run.
    const quiet = run(prepared, 0);
    result.milliseconds = quiet.milliseconds;
    if (quiet.milliseconds < 100) {
      result.milliseconds = Math.min(quiet.milliseconds, run(prepared, 0).milliseconds);
    }
    verdict = run(prepared, test.attr.logLevel);
  } catch (error) {
    return { ...result, threw: whatThrew(error) };
  }
  result.accepted = verdict.accepted;
  result.errno = verdict.errno;
  result.processed = verdict.processed;
  result.totalStates = verdict.totalStates;
  result.sameVerdict = verdict.accepted === accepted;
  result.sameErrno = live === undefined ? undefined : verdict.errno === live.errno;
  result.sameProcessed = live?.processed === undefined ? undefined : verdict.processed === live.processed;
  result.sameStates = live?.totalStates === undefined ? undefined : verdict.totalStates === live.totalStates;
  if (messages.length > 0) {
    result.liveMessages = live === undefined ? undefined : liveMessages(test, mode);
    result.missing = missingMessage(verdict.log, messages);
    result.messages = result.missing === undefined;
  }
  if (!verdict.accepted) result.reason = reasonOf(verdict.log);
  if (!accepted) result.liveReason = live ? reasonOf(live.tail ?? live.log) : messages.at(-1);
  if (live) {
    const slots = addressSlots(test.attr.instructions);
    result.difference = brief(differences(live.log, verdict.log, slots, live.tail !== undefined));
    result.sameLog = result.difference.hunks.length === 0;
    if (full && live.fullLog !== undefined) {
      try {
        const loud = run(prepared, 6);
        result.fullDifference = brief(differences(live.fullLog, loud.log, slots, live.cut));
        result.sameFullLog = result.fullDifference.hunks.length === 0;
        if (logs) result.fullLog = loud.log;
      } catch (error) {
        return { ...result, threw: whatThrew(error) };
      }
    }
  }
  if (logs) result.log = verdict.log;
  return result;
}
