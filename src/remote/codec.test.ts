import { encode as pack } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SkepError } from '../base/error.js';
import { BatchError, BpfError, Errno } from '../bpf/errno.js';
import { decode, encode } from './codec.js';
import { FrameError, FrameReader, frame, MAX_FRAME } from './frames.js';

const crossed = (value: unknown): unknown => decode(encode(value));

/** What crosses the waist: plain values, bytes, 64-bit integers. */
const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }).map((n) => n || 0),
    fc.double({ noNaN: true }).map((n) => n || 0),
    fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array(),
    fc.uint32Array(),
    fc.float64Array({ noNaN: true }),
    fc.bigUint64Array(),
    fc.array(tie('value')),
    fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      tie('value'),
      { noNullPrototype: true },
    ),
  ),
})).value;

describe('a value on its way to a kernel elsewhere', () => {
  test('arrives as it was', () => {
    fc.assert(
      fc.property(value, (sent) => {
        expect(crossed(sent)).toEqual(sent);
      }),
    );
  });

  test.each([
    ['the largest 64-bit integer', (1n << 64n) - 1n],
    ['the smallest', -(1n << 63n)],
    ['a small one, which is no number', 7n],
    ['a number above 32 bits, which is no bigint', 2 ** 40 + 1],
    ['one below', -(2 ** 40)],
  ])('%s', (_, sent) => {
    expect(crossed(sent)).toBe(sent);
  });

  test('members that are undefined are left out', () => {
    expect(crossed({ a: undefined, b: 1 })).toEqual({ b: 1 });
  });

  test('a part of bytes is only that part, and shares no memory', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4);
    const [got] = crossed([bytes.subarray(1, 3)]) as [Uint8Array];
    bytes[1] = 9;
    expect(got).toEqual(Uint8Array.of(2, 3));
    expect(got.buffer.byteLength).toBe(2);
  });

  test('a BpfError keeps its errno, command, words and log', () => {
    const error = new BpfError('BPF_PROG_LOAD', Errno.EACCES, 'R1 is no pointer', 'R1 invalid mem access\n');
    const got = crossed(error) as BpfError;
    expect(got).toBeInstanceOf(BpfError);
    expect(got).not.toBeInstanceOf(BatchError);
    expect({ ...got, message: got.message }).toEqual({ ...error, message: error.message });
  });

  test('a BatchError keeps how many elements were done', () => {
    const error = new BatchError('BPF_MAP_UPDATE_BATCH', Errno.E2BIG, 17);
    const got = crossed(error) as BatchError;
    expect(got).toBeInstanceOf(BatchError);
    expect([got.message, got.errno, got.count]).toEqual([error.message, Errno.E2BIG, 17]);
  });

  test('an error for people keeps its place and its hint; another its name', () => {
    const error = new SkepError('it is broken', { where: 'file', hint: 'Mend it.' });
    const got = crossed(error) as SkepError;
    expect([got.message, got.where, got.hint]).toEqual(['file: it is broken', 'file', 'Mend it.']);
    expect(crossed(new RangeError('too far'))).toMatchObject({ name: 'RangeError', message: 'too far' });
  });
});

describe('what is no value', () => {
  test('is refused as such, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a value with one byte changed is read or refused', () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.nat(255), (sent, at, byte) => {
        const bytes = encode(sent);
        bytes[at % bytes.length] = byte;
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
    );
  });

  test.each([
    ['an array of four billion elements', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['a map of as many', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['text of as many bytes', [0xdb, 0xff, 0xff, 0xff, 0xff]],
    ['bytes', [0xc6, 0xff, 0xff, 0xff, 0xff]],
    ['arrays in arrays that together are more than there is', [0x93, 0x93, 0x93, 1, 1]],
    ['nothing', []],
    ['a format that does not exist', [0xc1]],
    ['something behind the value', [1, 2]],
    ['an error that is no map', [0xd4, 1, 0x05]],
  ])('%s', (_, bytes) => {
    expect(() => decode(Uint8Array.from(bytes))).toThrow(FrameError);
  });

  test('lists within lists without end', () => {
    expect(() => decode(Uint8Array.from([...Array(1000).fill(0x91), 1]))).toThrow('lists within lists');
    let nested: unknown = 1;
    for (let i = 0; i < 20; i++) nested = [nested];
    expect(crossed(nested)).toEqual(nested);
  });

  test('a member that would change every object', () => {
    // __proto__ as a key, written by hand: encoders of objects leave it out.
    const key = new TextEncoder().encode('__proto__');
    const bytes = Uint8Array.of(0x81, 0xa0 | key.length, ...key, ...pack({ polluted: true }));
    expect(() => decode(bytes)).toThrow(FrameError);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('frames', () => {
  test('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (bodies, cuts) => {
          const stream = new Uint8Array(bodies.flatMap((body) => [...frame(body)]));
          const reader = new FrameReader();
          const got: Uint8Array[] = [];
          for (let at = 0, i = 0; at < stream.length; i++) {
            const size = cuts[i % cuts.length] as number;
            reader.push(stream.slice(at, at + size));
            at += size;
            for (let body = reader.next(); body; body = reader.next()) got.push(body);
          }
          expect(got).toEqual(bodies);
        },
      ),
    );
  });

  test('one that is too long is refused when it is announced, before it comes', () => {
    const reader = new FrameReader(1000);
    reader.push(Uint8Array.of(0xe9, 3, 0, 0));
    expect(() => reader.next()).toThrow('a message of 1001 bytes was announced, 1000 is the most');
    const largest = new FrameReader();
    largest.push(new Uint8Array(new Uint32Array([MAX_FRAME]).buffer));
    expect(largest.next()).toBeUndefined();
  });
});
