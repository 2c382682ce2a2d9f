// A process as the maps see it that it uses: the objects behind its descriptors, held and let go.

import type { Fd } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import type { Descriptors } from './descriptors.js';
import type { MapCaller } from './maps/index.js';
import type { KernelObject } from './objects.js';

/** `file` is the open file of the map. */
export function mapCaller(descriptors: Descriptors, file: object): MapCaller {
  const { objects } = descriptors;
  const holding = (object: KernelObject) => ({
    retain: () => {
      objects.hold(object);
    },
    release: () => objects.drop(object),
  });
  return {
    file,
    program(fd, command) {
      const program = descriptors.get(fd, 'program', command);
      const { id, traits, address } = program.parts;
      return { id, traits, address, ...holding(program) };
    },
    map(fd, command) {
      const object = descriptors.get(fd, 'map', command);
      return { id: object.id, address: object.map.address, map: object.map, ...holding(object) };
    },
    perfEvent(fd: Fd, command) {
      const buffer = descriptors.find(fd, 'perf buffer');
      if (!buffer) throw new BpfError(command, Errno.EBADF, `descriptor ${fd} is no perf event`);
      return { ...buffer, ...holding(buffer) };
    },
    isOpen: (fd) => descriptors.has(fd),
  };
}
