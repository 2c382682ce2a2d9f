// What the runs came to: the table, the differences, the failures in groups.

import { kindOf } from './lines.mjs';

const percent = (part, whole) => (whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)}%`);
const count = (list, is) => list.reduce((sum, one) => sum + (is(one) ? 1 : 0), 0);

const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);

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
    lines: sum(
      results,
      ({ difference, fullDifference }) => (difference?.same ?? 0) + (fullDifference?.same ?? 0),
    ),
    linesKnown: sum(
      results,
      ({ difference, fullDifference }) => (difference?.total ?? 0) + (fullDifference?.total ?? 0),
    ),
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
    row('lines of both', f.lines, f.linesKnown),
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

/** One side of a hunk in a few words. */
const side = (lines) => (lines.length === 0 ? 'nothing' : lines.slice(0, 2).map(kindOf).join(' / '));

/** Every reason why a result is not like the live kernel's; of logs, one for each place. */
function reasons(result, what) {
  const difference = { log: result.difference, full: result.fullDifference }[what];
  if (difference === undefined) return [trouble(result, what)].filter(Boolean);
  return [
    ...new Set(
      difference.hunks.map(({ kernel, ours }) => `kernel: ${side(kernel)}\n       ours:   ${side(ours)}`),
    ),
  ];
}

/** The failures, most frequent group first. */
export function failures(results, what) {
  const groups = new Map();
  for (const result of results) {
    for (const reason of reasons(result, what)) {
      if (!groups.has(reason)) groups.set(reason, []);
      groups.get(reason).push(result.id.replace(/^[^/]+\//, ''));
    }
  }
  return [...groups]
    .sort((a, b) => b[1].length - a[1].length)
    .map(
      ([reason, ids]) =>
        `${String(ids.length).padStart(5)}  ${reason}\n         ${ids.slice(0, 5).join(' ')}${ids.length > 5 ? ' ...' : ''}`,
    )
    .join('\n');
}

/** Where a result's logs differ, with the lines before. */
export function diff(result) {
  const lines = [`${result.id} (${result.mode})`];
  const { live } = result;
  const words = ({ accepted, errno, processed, totalStates }) =>
    `${accepted ? 'accepts' : `rejects, errno ${errno}`}, processed ${processed}, states ${totalStates}`;
  lines.push(`  kernel ${words(live)}; ours ${result.threw === undefined ? words(result) : 'threw'}`);
  if (result.threw !== undefined) lines.push(result.threw.replace(/^/gm, '    '));
  const logs = { log: result.difference, 'log of every instruction': result.fullDifference };
  for (const [name, difference] of Object.entries(logs)) {
    for (const [i, hunk] of (difference?.hunks ?? []).entries()) {
      if (i === 6) {
        lines.push(`    ... ${difference.hunks.length - 6} places more`);
        break;
      }
      lines.push(`  ${name}, line ${hunk.line + 1}:`);
      for (const line of hunk.before) lines.push(`      ${line}`);
      for (const line of hunk.kernel) lines.push(`    - ${line}`);
      for (const line of hunk.ours) lines.push(`    + ${line}`);
    }
  }
  if (result.missing !== undefined) {
    const excused = result.liveMessages === false ? " (the kernel's log does not have it either)" : '';
    lines.push(`  expected message missing: ${result.missing}${excused}`);
  }
  for (const [engine, { failed, retval, same }] of Object.entries(result.engines ?? {})) {
    if (!same) lines.push(`  ${engine}: ${failed ?? `returns ${retval}`}`);
  }
  return lines.join('\n');
}
