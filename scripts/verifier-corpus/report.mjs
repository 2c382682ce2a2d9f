// What the runs came to: the table, the differences, the failures in groups.

import { kindOf } from './lines.mjs';

const percent = (part, whole) => (whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)}%`);
const count = (list, is) => list.reduce((sum, one) => sum + (is(one) ? 1 : 0), 0);

/** The figures of one set and mode. */
export function figures({ results, left }) {
  const is = (name) => count(results, (one) => one[name] === true);
  const known = (name) => count(results, (one) => one[name] !== undefined);
  const both = results.filter(({ accepted, live }) => accepted && live.accepted);
  const asked = results.filter(({ messages }) => messages !== undefined);
  const liveRight = asked.filter(({ liveMessages }) => liveMessages !== false);
  const engines = (name) =>
    results.filter(({ engines: all }) => all?.[name] !== undefined).map(({ engines: all }) => all[name]);
  const timed = results.filter(({ processed, milliseconds }) => processed > 0 && milliseconds > 0);
  const liveTimed = results.filter(({ live }) => live.processed > 0 && live.milliseconds > 0);
  const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);
  return {
    tests: results.length,
    left: left.length,
    liveAccepts: count(results, ({ live }) => live.accepted),
    verdict: is('sameVerdict'),
    falseAccepts: count(results, ({ accepted, live }) => accepted === true && !live.accepted),
    falseRejects: count(results, ({ accepted, live }) => accepted === false && live.accepted),
    threw: known('threw'),
    errno: is('sameErrno'),
    errnoKnown: count(results, ({ live }) => live.errno !== undefined),
    messages: count(liveRight, ({ messages }) => messages),
    messagesLive: liveRight.length,
    messagesAsked: asked.length,
    processed: count(both, ({ sameProcessed }) => sameProcessed),
    states: count(both, ({ sameStates }) => sameStates),
    accepted: both.length,
    log: is('sameLog'),
    fullLog: is('sameFullLog'),
    fullLogKnown: known('sameFullLog'),
    jit: { right: count(engines('jit'), ({ same }) => same), of: engines('jit').length },
    interpreter: {
      right: count(engines('interpreter'), ({ same }) => same),
      of: engines('interpreter').length,
    },
    instructions: sum(timed, ({ processed }) => processed),
    milliseconds: sum(timed, ({ milliseconds }) => milliseconds),
    liveInstructions: sum(liveTimed, ({ live }) => live.processed),
    liveMilliseconds: sum(liveTimed, ({ live }) => live.milliseconds),
  };
}

/** The table of the figures, as text. */
export function table(title, f) {
  const speed = (instructions, milliseconds) =>
    milliseconds > 0 ? `${(instructions / milliseconds / 1000).toFixed(2)} M insns/s` : '-';
  const row = (name, part, whole, more = '') =>
    `  ${name.padEnd(34)} ${String(part).padStart(6)} of ${String(whole).padStart(5)}  ${percent(part, whole).padStart(6)}${more}`;
  return [
    `${title}: ${f.tests} tests (${f.left} not testable here), the live kernel accepts ${f.liveAccepts}`,
    row(
      'verdict as the live kernel',
      f.verdict,
      f.tests,
      `  false accepts ${f.falseAccepts}, false rejects ${f.falseRejects}, errors inside ${f.threw}`,
    ),
    row('errno', f.errno, f.errnoKnown),
    row(
      'messages (that the kernel satisfies)',
      f.messages,
      f.messagesLive,
      `  of ${f.messagesAsked} with messages`,
    ),
    row('processed, both accept', f.processed, f.accepted),
    row('total states, both accept', f.states, f.accepted),
    row("log at the test's level", f.log, f.errnoKnown),
    row('log of every instruction', f.fullLog, f.fullLogKnown),
    ...(f.jit.of > 0
      ? [
          row('return value, JIT', f.jit.right, f.jit.of),
          row('return value, interpreter', f.interpreter.right, f.interpreter.of),
        ]
      : []),
    `  speed: ours ${speed(f.instructions, f.milliseconds)} (${f.instructions} in ${f.milliseconds.toFixed(0)} ms), kernel ${speed(f.liveInstructions, f.liveMilliseconds)} (${f.liveInstructions} in ${f.liveMilliseconds.toFixed(0)} ms)`,
  ].join('\n');
}

/** Why a result is not like the live kernel's; undefined when it is. `what`: verdict, errno, messages, processed, log, full, retval. */
export function trouble(result, what) {
  if (result.threw !== undefined)
    return `threw: ${result.threw.split('\n').slice(0, 2).join(' ').slice(0, 200)}`;
  const wrong = (kind, same) => (what === undefined || what === kind) && same === false;
  if ((what === undefined || what === 'verdict') && !result.sameVerdict) {
    return result.accepted
      ? `FALSE ACCEPT: kernel says: ${kindOf(result.liveReason)}`
      : `false reject: ours says: ${kindOf(result.reason)}`;
  }
  if (wrong('errno', result.sameErrno))
    return `errno ${result.errno}, the kernel's is ${result.live.errno}: ${kindOf(result.liveReason)}`;
  if (wrong('messages', result.messages) && result.liveMessages !== false) {
    return `message missing: ${kindOf(result.missing)} | ours says: ${kindOf(result.reason)}`;
  }
  if (wrong('processed', result.sameProcessed) && result.accepted) return 'processed differs';
  const differs = (difference) =>
    `log: kernel: ${kindOf(difference.kernel)} | ours: ${kindOf(difference.ours)}`;
  if (wrong('log', result.sameLog) && what !== undefined) return differs(result.difference);
  if (wrong('full', result.sameFullLog) && what !== undefined) return differs(result.fullDifference);
  if (wrong('retval', result.engines && Object.values(result.engines).every(({ same }) => same))) {
    return Object.entries(result.engines)
      .map(([engine, { same, retval, failed }]) =>
        same ? '' : `${engine}: ${failed ?? `returns ${retval}`}`,
      )
      .join(' ')
      .replace(/\d+/g, 'N');
  }
  return undefined;
}

/** The failures, most frequent group first. */
export function failures(results, what) {
  const groups = new Map();
  for (const result of results) {
    const reason = trouble(result, what);
    if (reason === undefined) continue;
    if (!groups.has(reason)) groups.set(reason, []);
    groups.get(reason).push(result.id);
  }
  return [...groups]
    .sort((a, b) => b[1].length - a[1].length)
    .map(
      ([reason, ids]) =>
        `${String(ids.length).padStart(5)}  ${reason}\n         ${ids.slice(0, 6).join(' ')}${ids.length > 6 ? ' ...' : ''}`,
    )
    .join('\n');
}

/** The first difference of a result's logs with the lines before it. */
export function diff(result) {
  const lines = [`${result.id} (${result.mode})`];
  const { live } = result;
  const words = ({ accepted, errno, processed }) =>
    `${accepted ? 'accepts' : `rejects, errno ${errno}`}, processed ${processed}`;
  lines.push(`  kernel ${words(live)}; ours ${result.threw === undefined ? words(result) : 'threw'}`);
  if (result.threw !== undefined) lines.push(result.threw.replace(/^/gm, '    '));
  for (const [name, difference] of [
    ['log', result.difference],
    ['log of every instruction', result.fullDifference],
  ]) {
    if (difference === undefined) continue;
    lines.push(`  ${name}, line ${difference.line + 1}:`);
    for (const before of difference.before) lines.push(`      ${before}`);
    lines.push(`    - ${difference.kernel ?? '(ends)'}`, `    + ${difference.ours ?? '(ends)'}`);
  }
  if (result.missing !== undefined)
    lines.push(
      `  expected message missing: ${result.missing}${result.liveMessages === false ? " (the kernel's log does not have it either)" : ''}`,
    );
  for (const [engine, { failed, retval, same }] of Object.entries(result.engines ?? {})) {
    if (!same) lines.push(`  ${engine}: ${failed ?? `returns ${retval}`}`);
  }
  return lines.join('\n');
}
