/**
 * Builds one ONNX graph in memory. Owns names, shapes of the boundary and the protobuf encoding, so that the architecture
 * files read as mathematics. Tensors are named by their producer; every node is added in topological order.
 */
import {
  AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  ModelProto,
  NodeProto,
  TensorProto,
  ValueInfoProto,
} from '../../../proto/gen/onnx/onnx.js';

/** The name of a tensor inside a graph. */
export type Value = string;

/** A dimension: a number, or the name of one that varies between runs. */
export type Dimension = number | string;

export type ElementType = 'float32' | 'float16' | 'bfloat16' | 'int64' | 'int32' | 'uint8' | 'int8';

type AttributeValue = number | string | readonly number[] | { readonly float: number };

const ELEMENT_TYPES: Record<ElementType, DataType> = {
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  bfloat16: DataType.BFLOAT16,
  int64: DataType.INT64,
  int32: DataType.INT32,
  uint8: DataType.UINT8,
  int8: DataType.INT8,
};

/** ONNX opset and IR version: 21 is the newest whose every operator used here has a CPU kernel in onnxruntime 1.30. */
const OPSET = 21;
const IR_VERSION = 10;

/** Bytes inside a file beside the model: ONNX external data, never read through the JavaScript heap. */
export interface ExternalBytes {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

export class OnnxGraph {
  private readonly nodes: NodeProto[] = [];
  private readonly initializers: TensorProto[] = [];
  private readonly inputs: ValueInfoProto[] = [];
  private readonly outputs: ValueInfoProto[] = [];
  private readonly constants = new Map<string, Value>();
  private counter = 0;

  constructor(private readonly name: string) {}

  input(name: string, type: ElementType, dims: readonly Dimension[]): Value {
    this.inputs.push(valueInfo(name, type, dims));
    return name;
  }

  /** Declares a value as an output of the graph, under a name of its own. */
  output(value: Value, name: string, type: ElementType, dims: readonly Dimension[]): void {
    const rename = (v: Value): Value => (v === value ? name : v);
    for (const node of this.nodes) {
      node.input = node.input.map(rename);
      node.output = node.output.map(rename);
    }
    this.outputs.push(valueInfo(name, type, dims));
  }

  /** A constant held inside the model file. `data` is little-endian, row-major, and is not copied before encoding. */
  initializer(name: string, type: ElementType, dims: readonly number[], data: ArrayBufferView): Value {
    const rawData = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    this.initializers.push(TensorProto.fromPartial({ name, dataType: ELEMENT_TYPES[type], dims: [...dims], rawData }));
    return name;
  }

  /** A constant that stays in its own file. */
  externalInitializer(name: string, type: ElementType, dims: readonly number[], bytes: ExternalBytes): Value {
    const entries = { location: bytes.location, offset: String(bytes.offset), length: String(bytes.length) };
    this.initializers.push(
      TensorProto.fromPartial({
        name,
        dataType: ELEMENT_TYPES[type],
        dims: [...dims],
        dataLocation: DataLocation.EXTERNAL,
        externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
      }),
    );
    return name;
  }

  /** A small int64 constant, shared between equal uses. */
  int64(values: readonly number[]): Value {
    return this.shared(`int64[${values.join(',')}]`, 'int64', [values.length], () =>
      BigInt64Array.from(values, BigInt),
    );
  }

  /** A float32 scalar constant, shared between equal uses. */
  float32(value: number): Value {
    return this.shared(`float32(${value})`, 'float32', [], () => Float32Array.of(value));
  }

  private shared(key: string, type: ElementType, dims: readonly number[], make: () => ArrayBufferView): Value {
    const known = this.constants.get(key);
    if (known !== undefined) return known;
    this.constants.set(key, this.initializer(key, type, dims, make()));
    return key;
  }

  /** `x` in another element type. */
  cast(x: Value, type: ElementType): Value {
    return this.node('Cast', [x], { to: ELEMENT_TYPES[type] });
  }

  /** Adds a node with one output and returns it. */
  node(op: string, inputs: readonly Value[], attributes: Record<string, AttributeValue> = {}, domain = ''): Value {
    return this.nodeOutputs(op, inputs, 1, attributes, domain)[0];
  }

  /** Adds a node with several outputs and returns them in order. */
  nodeOutputs(
    op: string,
    inputs: readonly Value[],
    outputs: number,
    attributes: Record<string, AttributeValue> = {},
    domain = '',
  ): Value[] {
    const name = `${op}.${this.counter++}`;
    const output = Array.from({ length: outputs }, (_, i) => (outputs === 1 ? name : `${name}.${i}`));
    const attribute = Object.entries(attributes).map(([key, value]) => attributeOf(key, value));
    this.nodes.push(NodeProto.fromPartial({ opType: op, input: [...inputs], output, name, attribute, domain }));
    return output;
  }

  /** The finished model, as onnxruntime reads it. */
  encode(): Uint8Array {
    const model = ModelProto.fromPartial({
      irVersion: IR_VERSION,
      producerName: 'refusalscope',
      opsetImport: [
        { domain: '', version: OPSET },
        { domain: 'com.microsoft', version: 1 },
      ],
      graph: { name: this.name },
    });
    // Assigned, not passed through fromPartial: that would copy every weight.
    Object.assign(model.graph as object, {
      node: this.nodes,
      initializer: this.initializers,
      input: this.inputs,
      output: this.outputs,
    });
    return ModelProto.encode(model).finish();
  }
}

function valueInfo(name: string, type: ElementType, dims: readonly Dimension[]): ValueInfoProto {
  const dim = dims.map((d) =>
    typeof d === 'number'
      ? { value: { $case: 'dimValue' as const, value: d } }
      : { value: { $case: 'dimParam' as const, value: d } },
  );
  return ValueInfoProto.fromPartial({
    name,
    type: { value: { $case: 'tensorType', value: { elemType: ELEMENT_TYPES[type], shape: { dim } } } },
  });
}

function attributeOf(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'string') {
    return AttributeProto.fromPartial({ name, type: AttributeType.STRING, s: Buffer.from(value) });
  }
  if (typeof value === 'number') return AttributeProto.fromPartial({ name, type: AttributeType.INT, i: value });
  if ('float' in value) return AttributeProto.fromPartial({ name, type: AttributeType.FLOAT, f: value.float });
  return AttributeProto.fromPartial({ name, type: AttributeType.INTS, ints: [...value] });
}
