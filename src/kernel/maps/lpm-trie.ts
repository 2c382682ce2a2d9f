// BPF_MAP_TYPE_LPM_TRIE (Linux: kernel/bpf/lpm_trie.c): values of prefixes; a lookup finds the longest one that the key
// begins with. A key is struct bpf_lpm_trie_key_u8: the prefix's length in bits (u32, the machine's byte order), then 1 to
// 256 bytes of data, the most significant bit first. A walk finds longer prefixes before those that they begin with.

import { Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import { accessFlags, type MapTypeDefinition } from './definition.js';

/** sizeof(struct lpm_trie_node), without data and value. */
const node = 24;
/** The length before a key's data. */
const prefix = 4;
const dataLimit = 256;
/** A node with data and value is one allocation (LPM_VAL_SIZE_MAX). */
const valueLimit = 4 * 1024 * 1024 - dataLimit - node;

const invalid = (detail: string) => ({ errno: Errno.EINVAL, detail });

export const lpmTrie: MapTypeDefinition = {
  type: MapType.LpmTrie,
  flags: MapFlag.NoPrealloc | MapFlag.NumaNode | accessFlags,
  percpu: false,
  btf: 'struct key',
  refuse({ flags, keySize, valueSize }) {
    if (!(flags & MapFlag.NoPrealloc)) return invalid('a trie is created with BPF_F_NO_PREALLOC');
    if (keySize <= prefix || keySize > prefix + dataLimit) {
      return invalid(`keys are a length (4 bytes) and 1 to ${dataLimit} bytes of data, not ${keySize} bytes`);
    }
    if (valueSize === 0) return invalid('the value size is 0');
    if (valueSize > valueLimit) return invalid(`values of ${valueSize} bytes are larger than ${valueLimit}`);
    return undefined;
  },
  memlock: ({ keySize, valueSize }, _cpus, count) => count * (node + keySize - prefix + valueSize),
};
