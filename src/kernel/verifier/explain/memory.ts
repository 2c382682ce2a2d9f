// Messages about memory: pointers, packets, map values, the stack, the context.

import type { Entry } from './entry.js';

const COMPARE_NULL =
  'Compare the pointer with NULL right after the call, and return or skip when it is: `if (!p) return 0;`.';
const PACKET =
  'Compare first, and with as many bytes as are used: `if (data + offset + size > data_end) return XDP_PASS;`. A helper that ' +
  'changes the packet makes earlier comparisons void: read data and data_end again after it.';
const MASK =
  'Bound the number on both sides before it is used: make it unsigned and compare it (`if (i >= N) return 0;`), or mask it ' +
  '(`i &= N - 1` for a power of two). Compare the very variable that is used; when the compiler still uses another copy, ' +
  'make it forget with `barrier_var(i)`.';

export const memoryEntries: readonly Entry[] = [
  {
    pattern: /R(?<reg>\d+) invalid mem access '(?<type>\w+_or_null\w*|ptr_or_null_\w*)'/,
    example: "R0 invalid mem access 'map_value_or_null'",
    title: 'a pointer is used that may be NULL',
    required: 'A pointer that a helper may return as NULL has to be compared with NULL before it is used.',
    mend: COMPARE_NULL,
  },
  {
    pattern: /R(?<reg>\d+) invalid mem access '(?:scalar|inv)'/,
    example: "R2 invalid mem access 'scalar'",
    title: 'a number is used as a pointer',
    required: 'Memory is reached through a pointer that the verifier has followed from where it came.',
    mend:
      'Read kernel memory with bpf_probe_read_kernel or BPF_CORE_READ, and packets through ctx->data. When it was a pointer ' +
      'once: a cast to a shorter integer, or storing it where only numbers are kept, made it a number.',
  },
  {
    pattern: /R(?<reg>\d+) invalid mem access '(?<type>[^']+)'/,
    example: "R1 invalid mem access 'map_ptr'",
    title: 'memory is read or written through something that does not allow it',
    required: 'Loads and stores go through pointers to memory, and not through {type}.',
    mend: 'Use the helper or the field that gives access to it; the address alone may only be handed on.',
  },
  {
    pattern: /R(?<reg>\d+) offset is outside of the packet/,
    example: 'R1 offset is outside of the packet',
    title: 'the packet may end before these bytes',
    required:
      'Before bytes of the packet are used, a comparison with data_end has to show that they are there.',
    mend: PACKET,
  },
  {
    pattern: /math between (?<type>\w+) pointer and register with unbounded min value is not allowed/,
    example: 'math between pkt pointer and register with unbounded min value is not allowed',
    title: 'a number that may be anything is added to a pointer',
    required: 'What is added to a pointer has to have bounds.',
    found: 'A number that may be very small or negative is added to a {type} pointer.',
    mend: MASK,
  },
  {
    pattern: /math between (?<type>\w+) pointer and (?<value>-?\d+) is not allowed/,
    example: 'math between map_value pointer and 4294967295 is not allowed',
    title: 'too large a number is added to a pointer',
    required: 'A constant that is added to a pointer lies between -2^29 and 2^29.',
    found: '{value} is added to a {type} pointer.',
    mend: 'Look at the types: a negative number in an unsigned variable is a very large one.',
  },
  {
    pattern: /value (?<value>-?\d+) makes (?<type>\w+) pointer be out of bounds/,
    example: 'value 1073741823 makes map_value pointer be out of bounds',
    title: 'a pointer gets too far from where it began',
    required: 'Pointers stay within 2^29 bytes of what they point to.',
    found: '{value} would be added to a {type} pointer.',
    mend: MASK,
  },
  {
    pattern: /(?<type>\w+) pointer offset (?<value>-?\d+) is not allowed/,
    example: 'fp pointer offset -1073741822 is not allowed',
    title: 'a pointer gets too far from where it began',
    required: 'Pointers stay within 2^29 bytes of what they point to.',
    found: 'A {type} pointer would have the offset {value}.',
    mend: 'Look at the arithmetic before: an index is negative or far too large.',
  },
  {
    pattern: /R(?<reg>\d+) min value is outside of the allowed memory range/,
    example: 'R0 min value is outside of the allowed memory range',
    title: 'an access begins outside of the memory',
    required: 'Every byte lies inside the memory, for the smallest value of the index too.',
    mend: MASK,
  },
  {
    pattern: /R(?<reg>\d+) max value is outside of the allowed memory range/,
    example: 'R1 max value is outside of the allowed memory range',
    title: 'an access may end behind the memory',
    required: 'Every byte lies inside the memory, for the largest value of the index too.',
    mend: MASK,
  },
  {
    pattern: /R(?<reg>\d+) unbounded memory access/,
    example: 'R0 unbounded memory access, make sure to bounds check any such access',
    title: 'an index has no upper bound',
    required: 'The largest value that an index or length can have must be known, and fit the memory.',
    mend: MASK,
  },
  {
    pattern: /R(?<reg>\d+) min value is negative/,
    example: "R4 min value is negative, either use unsigned or 'var &= const'",
    title: 'an index or length may be negative',
    required: 'Indices and lengths may not be negative.',
    mend: MASK,
  },
  {
    pattern: /R(?<reg>\d+) invalid zero-sized read/,
    example: 'R4 invalid zero-sized read: u64=[0,0]',
    title: 'a length may be zero',
    required: 'This argument is a length of at least 1.',
    mend: 'Compare it with 0 before the call: `if (length == 0) return 0;`.',
  },
  {
    pattern: /invalid access to map value, value_size=(?<size>\d+) off=(?<off>-?\d+) size=(?<bytes>\d+)/,
    example: 'invalid access to map value, value_size=8 off=8 size=4',
    title: 'an access lies outside of a map value',
    required: 'Every byte lies inside the value, which has {size} bytes.',
    found: '{bytes} bytes from byte {off} on are used.',
    mend: 'Make the value type of the map the one that the pointer is declared with; bound the index of an array in it.',
  },
  {
    pattern:
      /invalid access to packet, off=(?<off>-?\d+) size=(?<bytes>\d+), R(?<reg>\d+)\(id=\d+,off=-?\d+,r=(?<range>\d+)\)/,
    example: 'invalid access to packet, off=4 size=8, R1(id=0,off=4,r=8)',
    title: 'the packet may end before these bytes',
    required:
      'Before bytes of the packet are used, a comparison with data_end has to show that they are there.',
    found: 'Bytes {off} and on are used ({bytes} of them), and {range} bytes are known to be there.',
    mend: PACKET,
  },
  {
    pattern: /invalid access to memory, mem_size=(?<size>\d+) off=(?<off>-?\d+) size=(?<bytes>\d+)/,
    example: 'invalid access to memory, mem_size=1 off=0 size=4',
    title: 'an access lies outside of the memory',
    required: 'Every byte lies inside the memory, which has {size} bytes.',
    found: '{bytes} bytes from byte {off} on are used.',
    mend: 'Ask for as many bytes as are used, or use fewer.',
  },
  {
    pattern: /invalid bpf_context access off=(?<off>-?\d+) size=(?<bytes>\d+)/,
    example: 'invalid bpf_context access off=0 size=8',
    title: 'this part of the context may not be used so',
    required:
      'Each program type may read some fields of its context, and write a few, in the size that they are declared with.',
    found: '{bytes} bytes at byte {off} of the context.',
    mend:
      'Look at the context type of this SEC(): the field may not be there for this program type, may only be read, or was read in ' +
      'parts or with its neighbour.',
  },
  {
    pattern: /dereference of modified ctx ptr R(?<reg>\d+) off=(?<off>-?\d+) disallowed/,
    example: 'dereference of modified ctx ptr R6 off=65535 disallowed',
    title: 'the context is used through a changed pointer',
    required: 'Context fields are read through the pointer as the program got it.',
    mend: 'Write `ctx->field` where it is needed and keep no pointers into the context (or make the compiler keep none).',
  },
  {
    pattern: /variable ctx access var_off=/,
    example: 'variable ctx access var_off=(0x0; 0x4) disallowed',
    title: 'the context is indexed with a variable',
    required: 'Offsets in the context are constants.',
    found: 'An offset that is only known when the program runs.',
    mend: 'Unroll the loop over the fields (`#pragma unroll`) or choose with `switch`.',
  },
  {
    pattern: /negative offset ctx ptr R(?<reg>\d+) off=(?<off>-?\d+) disallowed/,
    example: 'negative offset ctx ptr R1 off=-612 disallowed',
    title: 'a pointer before the context is handed on',
    required: 'The context is handed on as the program got it.',
    mend: 'Pass ctx itself.',
  },
  {
    pattern:
      /invalid (?<how>read from|write to|access to) stack (?:R(?<reg>\d+) )?off[ =](?<off>-?\d+)(?:\+\d+)? size[ =](?<bytes>\d+)/,
    example: 'invalid read from stack R3 off -4+0 size 4',
    title: 'stack is read that was never written, or lies outside of the frame',
    required:
      'Bytes of the stack (512 a program) are written before they are read, also by helpers that are given their address.',
    found: '{bytes} bytes at {off} from the top of the stack.',
    mend: 'Initialise the variable: `struct key key = {};`, and padding too: __builtin_memset(&key, 0, sizeof(key)).',
  },
  {
    pattern:
      /invalid(?: unbounded)? variable-offset (?:indirect )?(?<how>read from|write to|access to) stack R(?<reg>\d+)/,
    example: 'invalid variable-offset read from stack R2 var_off=(0xfffffffffffffc00; 0x3fc) off=0 size=8',
    title: 'an array on the stack is indexed without bounds',
    required:
      'An index into the stack has bounds, and every byte that it may reach was written before it is read.',
    mend: MASK,
  },
  {
    pattern: /misaligned (?<what>\w+) access off (?<off>\S+) size (?<bytes>\d+)/,
    example: 'misaligned stack access off 0+0+-7 size 4',
    title: 'an access is not aligned',
    required: 'Accesses to the {what} begin at a multiple of their size.',
    found: '{bytes} bytes at {off}.',
    mend: 'Take the structure apart bytewise, or align it; no pointer casts to larger types at odd offsets.',
  },
  {
    pattern: /(?<how>write into|read from) map forbidden/,
    example: 'write into map forbidden, value_size=8 off=0 size=4',
    title: 'the map does not allow programs to do that',
    required:
      'Maps with BPF_F_RDONLY_PROG are only read by programs (constants too), those with BPF_F_WRONLY_PROG only written.',
    found: 'A {how} the map.',
    mend: 'Take `const` or the flag off, or leave the map as it is.',
  },
  {
    pattern: /R(?<reg>\d+) cannot write into (?<type>\S+)/,
    example: 'R1 cannot write into sock',
    title: 'memory is written that may only be read',
    required: 'Memory of the kernel of this kind ({type}) is read only.',
    mend: 'Use the helper or kernel function that changes it.',
  },
  {
    pattern: /cannot write into packet/,
    example: 'cannot write into packet',
    title: 'packets may not be changed here',
    required: 'Only some program types may write to packets.',
    found: 'A store into the packet.',
    mend: 'Do it in an xdp, tc or lwt_xmit program.',
  },
  {
    pattern: /R(?<reg>\d+) pointer arithmetic on (?<type>\w+_or_null) prohibited, null-check it first/,
    example: 'R4 pointer arithmetic on map_value_or_null prohibited, null-check it first',
    title: 'a pointer that may be NULL is changed',
    required: 'A pointer that may be NULL is compared with NULL before anything is added to it.',
    mend: COMPARE_NULL,
  },
  {
    pattern: /R(?<reg>\d+) pointer arithmetic on (?<type>\w+) prohibited/,
    example: 'R3 pointer arithmetic on pkt_end prohibited',
    title: 'this kind of pointer may not be changed',
    required: 'Nothing may be added to a pointer of this kind ({type}).',
    mend: 'Use it as it is: compare with data_end and add to data, not the other way round.',
  },
  {
    pattern:
      /R(?<reg>\d+) (?:bitwise operator \S+ on pointer|pointer arithmetic with \S+ operator|32-bit pointer arithmetic|pointer \+= pointer) prohibited/,
    example: 'R0 bitwise operator &= on pointer prohibited',
    title: 'pointers are calculated with as if they were numbers',
    required: 'A number can be added to a pointer or taken from it, in 64 bits; nothing else.',
    mend: 'Keep an index beside the pointer and calculate with that. Casting to (unsigned) int cuts a pointer to 32 bits.',
  },
  {
    pattern:
      /R(?<reg>\d+) (?:tried to subtract pointer from scalar|subtraction from stack pointer prohibited)/,
    example: 'R1 tried to subtract pointer from scalar',
    title: 'pointers are calculated with as if they were numbers',
    required: 'A number can be added to a pointer or taken from it; a pointer cannot be taken from a number.',
    mend: 'Turn the expression round: pointer first.',
  },
  {
    pattern: /R(?<reg>\d+) !read_ok/,
    example: 'R4 !read_ok',
    title: 'a variable or argument is used that holds nothing',
    required: 'Registers are set before they are used; a call takes R1 to R5 away.',
    mend: 'Initialise the variable on every path, and give a function all the arguments that it is declared with.',
  },
  {
    pattern: /frame pointer is read only/,
    example: 'frame pointer is read only',
    title: 'the frame pointer is changed',
    required: 'R10 always points to the top of the stack.',
    found: 'An instruction that writes R10.',
    mend: 'Copy it first: this is for those who write assembly.',
    origin: 'none',
  },
  {
    pattern: /R(?<reg>\d+) is invalid/,
    example: 'R15 is invalid',
    title: 'there is no such register',
    required: 'Registers are R0 to R10.',
    found: 'R{reg}.',
    mend: 'The instruction is damaged: look at how the object was made.',
    origin: 'none',
  },
  {
    pattern: /BPF_ATOMIC (?:stores into|loads from) R(?<reg>\d+) (?<type>\w+) is not allowed/,
    example: 'BPF_ATOMIC stores into R2 pkt is not allowed',
    title: 'an atomic operation on memory that does not allow it',
    required: 'Atomic operations go to the stack, map values and memory of the program.',
    mend: 'Read, calculate and write, or keep the counter in a map.',
  },
  {
    pattern: /same insn cannot be used with different pointers/,
    example: 'same insn cannot be used with different pointers',
    title: 'one instruction reads through pointers of two kinds',
    required: 'Whichever way an access is reached, its pointer is of the same kind.',
    found: 'One path brings another kind of pointer than an earlier one.',
    mend: 'Do the access in each branch; the compiler joined two that look alike (`barrier()` between them keeps them apart).',
  },
  {
    pattern: /R(?<reg>\d+) invalid (?<type>\w+) access off=(?<off>-?\d+) size=(?<bytes>\d+)/,
    example: 'R0 invalid sock access off=80 size=4',
    title: 'this field may not be read so',
    required: 'Fields of a {type} are read one by one in the size that they are declared with.',
    found: '{bytes} bytes at byte {off} of a {type}.',
    mend: 'Look at the type in linux/bpf.h: the field is not there, or was read together with its neighbour.',
  },
];
