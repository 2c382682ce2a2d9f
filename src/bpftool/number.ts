// Numbers as the C library reads them.

const MAX_UNSIGNED_LONG = 0xffffffffffffffffn;

/**
 * The whole of a text as strtoul(3) reads it: white space and a sign may stand in front; base 0 takes `0x` for hexadecimal
 * and a leading 0 for octal numbers. Negative numbers wrap around, those that are too large become the largest one.
 * Undefined when something else is in it.
 */
export function parseUnsigned(text: string, base: 0 | 10 | 16 = 0): bigint | undefined {
  const match = text.match(/^[ \t\n\v\f\r]*([+-]?)(.+)$/s);
  if (match === null) return undefined;
  const [, sign, digits = ''] = match;
  let value: bigint;
  if (base !== 10 && /^0x[0-9a-f]+$/i.test(digits)) value = BigInt(digits);
  else if (base === 16 && /^[0-9a-f]+$/i.test(digits)) value = BigInt(`0x${digits}`);
  else if (base === 0 && /^0[0-7]*$/.test(digits)) value = BigInt(`0o${digits}`);
  else if (base !== 16 && /^[0-9]+$/.test(digits) && (base === 10 || !digits.startsWith('0')))
    value = BigInt(digits);
  else return undefined;
  if (value > MAX_UNSIGNED_LONG) return MAX_UNSIGNED_LONG;
  return sign === '-' ? BigInt.asUintN(64, -value) : value;
}

/** The same for what goes into 32 bits, of which it takes the lower ones. */
export function parseUnsigned32(text: string, base: 0 | 10 | 16 = 0): number | undefined {
  const value = parseUnsigned(text, base);
  return value === undefined ? undefined : Number(BigInt.asUintN(32, value));
}
