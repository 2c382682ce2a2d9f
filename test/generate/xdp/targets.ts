// The programs that tail calls of generated programs lead to. The last element of `programs` stays empty.

import {
  alu,
  atomic,
  branch,
  callHelper,
  exit,
  type Instruction,
  load,
  mov,
  reg,
  store,
} from '../../../src/isa/index.js';
import { loadMap, loadValue } from './frame.js';

const TAIL_CALL = 12;
const ADJUST_TAIL = 65;

export const TARGETS: readonly (readonly Instruction[])[] = [
  // Changes a map.
  [loadValue(1, 'globals', 0), mov(2, 3), atomic('add', 8, 1, 0, 2, true), mov(0, reg(2)), exit()],
  // Changes the packet.
  [
    mov(6, reg(1)),
    load(4, 1, 6, 0),
    load(4, 2, 6, 4),
    mov(3, reg(1)),
    alu('add', 3, 20),
    branch('gt', 3, reg(2), 3),
    load(2, 4, 1, 18),
    alu('add', 4, 0x1111),
    store(2, 1, 18, reg(4)),
    mov(1, reg(6)),
    mov(2, -3),
    callHelper(ADJUST_TAIL),
    alu('add', 0, 5),
    exit(),
  ],
  // Calls itself until Linux lets it no more.
  [
    mov(6, reg(1)),
    loadValue(7, 'globals', 8),
    mov(2, 1),
    atomic('add', 8, 7, 0, 2),
    loadMap(2, 'programs'),
    mov(3, 2),
    callHelper(TAIL_CALL),
    load(8, 0, 7, 0),
    exit(),
  ],
];
