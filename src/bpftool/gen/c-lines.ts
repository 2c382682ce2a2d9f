// Lines of C code.

/** Blanks in front become tabs, two for each; lines that are empty stay. */
export const code = (text: string): string =>
  text.replace(/^(?: {2})+/gm, (blanks) => '\t'.repeat(blanks.length / 2));

/** Bytes on one line of a string literal. */
const PER_LINE = 24;

/** Bytes as string literals, one a line, at this depth. */
export function byteLiterals(bytes: Uint8Array, level: number): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += PER_LINE) {
    const escaped = Array.from(
      bytes.subarray(at, at + PER_LINE),
      (byte) => `\\x${byte.toString(16).padStart(2, '0')}`,
    );
    lines.push(`${'\t'.repeat(level)}"${escaped.join('')}"`);
  }
  return lines.join('\n');
}
