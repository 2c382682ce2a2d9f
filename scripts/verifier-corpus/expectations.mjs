// What the selftests expect of a program: BTF declaration tags on its function, as test_loader.c reads them.

import { ProgFlag } from '../../dist/bpf/types.js';

const flagNames = {
  BPF_F_STRICT_ALIGNMENT: ProgFlag.StrictAlignment,
  BPF_F_ANY_ALIGNMENT: ProgFlag.AnyAlignment,
  BPF_F_TEST_RND_HI32: ProgFlag.TestRndHi32,
  BPF_F_TEST_STATE_FREQ: ProgFlag.TestStateFreq,
  BPF_F_SLEEPABLE: ProgFlag.Sleepable,
  BPF_F_XDP_HAS_FRAGS: ProgFlag.XdpHasFrags,
  BPF_F_TEST_REG_INVARIANTS: ProgFlag.TestRegInvariants,
};

const retvalNames = { INT_MIN: -0x80000000, POINTER_VALUE: 'any', TEST_DATA_LEN: 64 };

const number = (text) => Number.parseInt(text, text.startsWith('0x') ? 16 : 10);

/** The texts of the declaration tags of every function, by type id of the function, in their order. */
function tagsByFunction(btf) {
  const tags = new Map();
  for (let id = 1; id < btf.typeCount; id++) {
    if (btf.kind(id) !== 'DECL_TAG') continue;
    const { type, componentIndex, name } = btf.type(id);
    if (componentIndex !== -1 || !name.startsWith('comment:test_')) continue;
    if (!tags.has(type)) tags.set(type, []);
    tags.get(type).push(name.slice('comment:test_'.length));
  }
  return tags;
}

const side = () => ({ fail: false, messages: [], xlated: [] });

/**
 * The expectations of every program of an object: name -> { tagged, auxiliary, logLevel, flags, architectures,
 * description, btfPath, priv?, unpriv? }; priv and unpriv: { fail, messages, xlated, retval? }.
 */
export function expectations(spec) {
  const all = new Map();
  const { btf } = spec;
  const tags = btf ? tagsByFunction(btf) : new Map();
  for (const program of spec.programs) {
    const id = btf?.findByName(program.name, 'FUNC');
    all.set(program.name, read(tags.get(id) ?? []));
  }
  return all;
}

function read(tags) {
  const found = { tagged: tags.length > 0, auxiliary: false, logLevel: 0, flags: 0, architectures: [] };
  const sides = { priv: side(), unpriv: side() };
  const modes = new Set();
  let unprivilegedVerdict = false;
  let unprivilegedRetval = false;
  for (const tag of tags) {
    const [, name, rest = ''] = /^([a-z_]+)=?(.*)$/s.exec(tag) ?? [];
    if (name === undefined) continue;
    const mode = name.endsWith('_unpriv') ? 'unpriv' : 'priv';
    const plain = name.replace(/_unpriv$/, '');
    // `N=` before a text only makes the tag unique.
    const numbered = rest.replace(/^\d+=/, '');
    switch (plain) {
      case 'expect_failure':
      case 'expect_success':
        sides[mode].fail = plain === 'expect_failure';
        modes.add(mode);
        if (mode === 'unpriv') unprivilegedVerdict = true;
        break;
      case 'auxiliary':
        found.auxiliary = true;
        modes.add(mode);
        break;
      case 'expect_msg':
        sides[mode].messages.push(numbered);
        modes.add(mode);
        break;
      case 'expect_xlated':
        sides[mode].xlated.push(numbered);
        modes.add(mode);
        break;
      case 'retval':
        sides[mode].retval = retvalNames[rest] ?? number(rest);
        modes.add(mode);
        if (mode === 'unpriv') unprivilegedRetval = true;
        break;
      case 'log_level':
        found.logLevel = number(rest);
        break;
      case 'prog_flags': {
        const flag = rest.replace(/^!/, '');
        const bit = flagNames[flag] ?? number(flag);
        found.flags = rest.startsWith('!') ? found.flags & ~bit : found.flags | bit;
        break;
      }
      case 'description':
        found.description = rest;
        break;
      case 'arch':
        found.architectures.push(rest);
        break;
      case 'btf_path':
        found.btfPath = rest;
        break;
    }
  }
  if (modes.size === 0) modes.add('priv');
  if (modes.has('unpriv')) {
    const { priv, unpriv } = sides;
    if (!unprivilegedVerdict) unpriv.fail = priv.fail;
    if (!unprivilegedRetval && priv.retval !== undefined) unpriv.retval = priv.retval;
    if (unpriv.messages.length === 0) unpriv.messages = priv.messages;
    if (unpriv.xlated.length === 0) unpriv.xlated = priv.xlated;
  }
  for (const mode of modes) found[mode] = sides[mode];
  return found;
}
