// Logs side by side: where they differ. Addresses of the kernel are left out, because no two are equal.

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
      /^(\s*|mark_precise: .* before )(\d+): (\S+ )?\(18\) (r\d+) = 0x[0-9a-f]+(?: +;)?/gm,
      (whole, indent, slot, live = '', register) =>
        slots.has(Number(slot)) ? `${indent}${slot}: ${live}(18) ${register} = ADDRESS ;` : whole,
    )
    .split('\n');

/** How far ahead a common line is looked for. */
const REACH = 80;

/** The nearest place behind (i, j) where both logs go on alike: [i, j], or the ends. */
function meet(a, b, i, j) {
  for (let sum = 1; sum <= REACH; sum++) {
    for (let x = Math.max(0, sum - (b.length - j)); x <= sum && i + x <= a.length; x++) {
      const y = sum - x;
      const [m, n] = [i + x, j + y];
      if (n > b.length) continue;
      const ends = m === a.length && n === b.length;
      if (ends || (a[m] !== undefined && a[m] === b[n] && (sum < 4 || a[m + 1] === b[n + 1]))) return [m, n];
    }
  }
  return [a.length, b.length];
}

/**
 * Where two logs differ: { total, same, hunks: [{ line, before, kernel: [...], ours: [...] }] }, total and same in lines of
 * the kernel's. `cut`: the kernel's log is only a beginning.
 */
export function differences(kernel, ours, slots, cut = false) {
  const a = comparable(kernel, slots).map((line) => line.trimEnd());
  const b = comparable(ours, slots).map((line) => line.trimEnd());
  if (cut) {
    a.pop();
    b.length = Math.min(b.length, a.length);
  }
  const hunks = [];
  let same = 0;
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && a[i] === b[j]) {
      same++;
      i++;
      j++;
      continue;
    }
    const [m, n] = meet(a, b, i, j);
    hunks.push({
      line: i,
      before: a.slice(Math.max(0, i - 3), i),
      kernel: a.slice(i, m),
      ours: b.slice(j, n),
    });
    [i, j] = [m, n];
  }
  return { total: a.length, same, hunks };
}

/** A line with its numbers taken out, so that equal kinds of lines fall together. */
export const kindOf = (line) =>
  line === undefined
    ? '(the log ends)'
    : line
        .replace(/0x[0-9a-f]+/g, 'N')
        .replace(/-?\d+/g, 'N')
        .slice(0, 140);

/** The last line of a log before the figures: the reason of a rejection. */
export const reasonOf = (log) =>
  log
    .split('\n')
    .filter(
      (line) => line !== '' && !/^(processed|verification time|stack depth|mark_precise|func#)/.test(line),
    )
    .at(-1) ?? '';
