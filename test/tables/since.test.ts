// Versions: tables that name everything that 6.18 has, in an order that Linux's own numbers confirm.

import { expect, test } from 'vitest';
import { AttachType, MapType, ProgType } from '../../src/bpf/types.js';
import { helperSignatures } from '../../src/kernel/verifier/tables/helper-signatures.js';
import { kfuncs } from '../../src/kernel/verifier/tables/kfuncs.js';
import {
  attachTypeSince,
  featureSince,
  hasSince,
  kfuncSince,
  mapTypeSince,
  progTypeSince,
  versionNumber,
} from '../../src/kernel/verifier/tables/since.js';

test('versions compare as numbers, not as texts', () => {
  expect(hasSince('5.15.0', '5.2')).toBe(true);
  expect(hasSince('5.2', '5.15')).toBe(false);
  expect(hasSince('6.18.44', '6.18')).toBe(true);
  expect(() => versionNumber('six')).toThrow('is no version');
});

/** Numbers are given out in order, so a later number is never much older than an earlier one. */
const inOrder = (names: readonly string[], since: (name: string) => string | undefined): string[] => {
  const late: string[] = [];
  let newest = 0;
  for (const name of names) {
    const version = since(name);
    if (version === undefined) continue;
    // Two branches of development that meet in a release may swap.
    if (versionNumber(version) < newest - 1) late.push(`${name} ${version}`);
    newest = Math.max(newest, versionNumber(version));
  }
  return late;
};

test('map types, program types and helpers came in the order of their numbers', () => {
  expect(inOrder(Object.keys(MapType), (name) => mapTypeSince[name as keyof typeof mapTypeSince])).toEqual(
    [],
  );
  expect(inOrder(Object.keys(ProgType), (name) => progTypeSince[name as keyof typeof progTypeSince])).toEqual(
    [],
  );
  const helpers = new Map(helperSignatures.map(({ name, since }) => [name, since]));
  expect(inOrder([...helpers.keys()], (name) => helpers.get(name))).toEqual([]);
});

test('all is named, and nothing is younger than 6.18', () => {
  const youngMaps = Object.keys(MapType).filter((name) => !(name in mapTypeSince));
  expect(youngMaps).toEqual(['Unspec', 'InsnArray', 'Rhash']);
  for (const name of Object.keys(ProgType)) if (name !== 'Unspec') expect(progTypeSince).toHaveProperty(name);
  const young = Object.keys(AttachType).filter((name) => !(name in attachTypeSince));
  expect(young).toEqual(['TraceFsession', 'TraceFentryMulti', 'TraceFexitMulti', 'TraceFsessionMulti']);
  const without = kfuncs.map(({ name }) => name).filter((name) => !kfuncSince.has(name));
  expect(without.filter((name) => !/test|bpf_kfunc_call/.test(name))).toEqual([]);
  const all = [
    ...Object.values(mapTypeSince),
    ...Object.values(progTypeSince),
    ...Object.values(attachTypeSince),
    ...Object.values(featureSince),
    ...kfuncSince.values(),
    ...helperSignatures.map(({ since }) => since ?? ''),
  ];
  for (const version of all) expect(hasSince('6.18', version), version).toBe(true);
});
