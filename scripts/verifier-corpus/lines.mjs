// Logs side by side: the first line in which two differ. Addresses of the kernel are left out, because no two are equal.

/** Slots whose `ld_imm64` holds an address once the verifier has resolved it. */
export function addressSlots(instructions) {
  const slots = new Set();
  for (let slot = 0; slot * 8 < instructions.length; slot++) {
    if (instructions[slot * 8] !== 0x18) continue;
    if (instructions[slot * 8 + 1] >> 4 !== 0) slots.add(slot);
    slot++;
  }
  return slots;
}

const comparable = (log, slots) =>
  log
    .replace(/^verification time .*\n/m, '')
    .replace(
      /^(\s*)(\d+): (\S+ )?\(18\) (r\d+) = 0x[0-9a-f]+/gm,
      (whole, indent, slot, live = '', register) =>
        slots.has(Number(slot)) ? `${indent}${slot}: ${live}(18) ${register} = ADDRESS` : whole,
    )
    .split('\n');

/** The first difference, { line, kernel, ours, before } or undefined; `cut`: the kernel's log is only a beginning. */
export function firstDifference(kernel, ours, slots, cut = false) {
  const a = comparable(kernel, slots);
  const b = comparable(ours, slots);
  const end = cut ? a.length - 1 : Math.max(a.length, b.length);
  for (let i = 0; i < end; i++) {
    if (a[i]?.trimEnd() === b[i]?.trimEnd()) continue;
    return { line: i, kernel: a[i], ours: b[i], before: a.slice(Math.max(0, i - 6), i) };
  }
  return undefined;
}

/** A line with its numbers taken out, so that equal kinds of lines fall together. */
export const kindOf = (line) =>
  line === undefined
    ? '(the log ends)'
    : line
        .replace(/0x[0-9a-f]+/g, 'N')
        .replace(/-?\d+/g, 'N')
        .replace(/^N: \([0-9a-fN]+\) .*?(;|$)/, 'N: <instruction> $1')
        .slice(0, 140);

/** The last line of a log before the figures: the reason of a rejection. */
export const reasonOf = (log) =>
  log
    .split('\n')
    .filter(
      (line) => line !== '' && !/^(processed|verification time|stack depth|mark_precise|func#)/.test(line),
    )
    .at(-1) ?? '';
