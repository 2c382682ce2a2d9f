// What maps see of the kernel around them: the objects behind descriptors, held and let go. There are no network devices
// and no sockets.

import { perfBufferOf } from './buffers.js';
import type { MapSurroundings } from './maps/index.js';
import type { KernelObject, ObjectTable } from './objects.js';

export function surroundingsOf(objects: ObjectTable): MapSurroundings {
  const holding = (object: KernelObject) => ({
    retain: () => {
      objects.hold(object);
    },
    release: () => objects.drop(object),
  });
  return {
    program(fd, command) {
      const program = objects.get(fd, 'program', command);
      const { id, type, expectedAttachType, address } = program.parts;
      return { id, type, expectedAttachType, address, ...holding(program) };
    },
    map(fd, command) {
      const object = objects.get(fd, 'map', command);
      return { id: object.id, address: object.map.address, map: object.map, ...holding(object) };
    },
    perfEvent(fd, command) {
      const buffer = perfBufferOf(objects, fd, command);
      return { ...buffer, ...holding(buffer) };
    },
    hasDevice: () => false,
    isOpen: (fd) => objects.has(fd),
  };
}
