/** Suite tree: forced rescind of trees of accepted grants, per node, and the longest slice. */
import type { Cookie } from "../src/index.js";
import { H_PARTIAL, RESCIND_FORCED } from "../src/layout.js";
import { MapTable } from "./map-table.js";
import { inAsyncRuns, inRuns, type Timed, watchTurns } from "./measure.js";
import { ParameterError } from "./parameter-error.js";
import type { Parameters } from "./parameters.js";
import {
  type Contender,
  type Context,
  type Coordinates,
  type Scenario,
  type Stage,
  timesNative,
  type Way,
} from "./suite.js";
import { planTree, type Shape, Tree, type TreePlan, type TreeSize } from "./trees.js";
import { clientOf, IDLE, must, openWorld, type World } from "./worlds.js";

/** Beyond, a Map of objects only takes time to build. */
const MAP_NODES_MAX = 100_000;
const LONGEST_MS = 1;
/** So that two tables of them fit. */
const NODES_MAX: number = 2 ** 21;

function open(nodes: number): World {
  return openWorld({ serverPages: 1, grants: nodes + 16, spacePages: nodes + 16, partitions: 3 });
}

/** The same, with a table that another thread has joined: it takes locks, and what access ends others could see. */
async function openJoined(nodes: number): Promise<World> {
  const world = open(nodes);
  await world.table.spawn(world.server, IDLE);
  return world;
}

function growIn(world: World, plan: TreePlan): Tree {
  const { table, h, server } = world;
  const [even, odd] = [clientOf(world, 0), clientOf(world, 1)];
  const down = table.connect(even, odd);
  return new Tree(plan, {
    calls: h,
    server: server.lpid,
    holders: [even.lpid, odd.lpid],
    rootUnit: table.connect(server, even).unitAddress,
    units: [down.unitAddress, down.peer.unitAddress],
  });
}

/** Slice after slice, with nothing between them. */
function rescindRaw({ h, server }: World, root: number): Required<Timed> {
  const start = performance.now();
  let last = start;
  let longestMs = 0;
  let status: number;
  do {
    status = h.rescindLogical(server.lpid, RESCIND_FORCED, root);
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
  } while (status === H_PARTIAL);
  must(status);
  return { ms: last - start, longestMs };
}

function ours(world: World, plan: TreePlan, isAsync: boolean): Contender {
  const tree = growIn(world, plan);
  const rescind = async (): Promise<Timed & { readonly nodes: number }> => {
    let nodes = 0;
    const timed = await watchTurns(async () => {
      nodes = (await world.server.rescindForced(tree.root as Cookie)).nodes;
    });
    return { ...timed, nodes };
  };
  // The order of the free slots comes from the tree before.
  tree.build();
  rescindRaw(world, tree.root);
  tree.clear();
  return {
    measure: isAsync
      ? inAsyncRuns(plan.nodes, async () => {
          tree.build();
          const timed = await rescind();
          tree.clear();
          return timed;
        })
      : inRuns(plan.nodes, () => {
          tree.build();
          const timed = rescindRaw(world, tree.root);
          tree.clear();
          return timed;
        }),
    check: async () => {
      tree.build();
      return tree.inspect((await rescind()).nodes);
    },
  };
}

function withMap(plan: TreePlan): Contender {
  const { nodes } = plan;
  const table = new MapTable(nodes + 16);
  const [server, even, odd] = [1, 0, 0].map((own) => table.createPartition(own, nodes + 16)) as [
    number,
    number,
    number,
  ];
  const down = table.connect(even, odd, nodes + 16);
  const tree = new Tree(plan, {
    calls: table,
    server,
    holders: [even, odd],
    rootUnit: table.connect(server, even, nodes + 16),
    units: [down, down + 1],
  });
  return {
    measure: inRuns(nodes, () => {
      tree.build();
      const start = performance.now();
      must(table.rescindLogical(server, RESCIND_FORCED, tree.root));
      const ms = performance.now() - start;
      tree.clear();
      return { ms };
    }),
    check: async () => {
      tree.build();
      must(table.rescindLogical(server, RESCIND_FORCED, tree.root));
      return tree.inspect(table.tornDown);
    },
  };
}

/** How a tree is rescinded besides, each in a table of its own. */
interface More {
  /** Through the object API, with a watch on the event loop. */
  readonly isWatched: boolean;
  /** Where another thread has joined. */
  readonly isJoined: boolean;
}

async function openStage(
  name: string,
  size: TreeSize,
  { isWatched, isJoined }: More,
  at: Coordinates,
  { seed, native }: Context,
): Promise<Stage> {
  const { shape, isScattered, nodes, fanout = 1 } = size;
  const plan = planTree(size, seed);
  const target = timesNative(1.5, 1.1, LONGEST_MS);
  const alone = open(nodes);
  const worlds = [alone];
  const ways: Way[] = [{ what: `${name}, raw`, contender: ours(alone, plan, false), target, at }];
  if (isWatched) {
    const world = open(nodes);
    worlds.push(world);
    ways.push({ what: `${name}, rescindForced()`, contender: ours(world, plan, true), target, at });
  }
  if (isJoined) {
    const world = await openJoined(nodes);
    worlds.push(world);
    ways.push({ what: `${name}, raw, a thread has joined`, contender: ours(world, plan, false), at });
  }
  const nativeContender = await native?.setUp("tree", shape, isScattered ? 1 : 0, nodes, fanout, seed);
  return {
    ways,
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      ...(nodes <= MAP_NODES_MAX ? { map: withMap(plan) } : {}),
    },
    audit: () => worlds.flatMap(({ table }) => table.audit().problems),
    close: async () => {
      await nativeContender?.close();
      for (const { table } of worlds) await table.close();
    },
  };
}

function scenario(title: string, size: TreeSize, more: More, at: Coordinates = {}): Scenario {
  const { isScattered, nodes } = size;
  const name = `${title}${isScattered ? " scattered" : ""}, ${nodes.toLocaleString("en-US")} nodes`;
  return {
    name,
    ...(nodes > MAP_NODES_MAX ? { repetitionsMax: 5 } : {}),
    open: (context) => openStage(name, size, more, at, context),
  };
}

/** Of the largest, some are also rescinded through the object API; of the smallest, those in sequence with another thread. */
const KINDS: readonly (readonly [shape: Shape, isScattered: boolean, isWatched: boolean])[] = [
  ["wide", false, false],
  ["wide", true, true],
  ["deep", false, false],
  ["deep", true, false],
  ["mixed", true, true],
];

/** Nodes of a tree whose every node above the last level has as many children. @throws ParameterError */
function countNodes(depth: number, fanout: number): number {
  let nodes = 1;
  let level = 1;
  for (let i = 0; i < depth; i++) {
    level *= fanout;
    nodes += level;
    if (nodes > NODES_MAX)
      throw new ParameterError(
        `a tree with --depth ${depth} and --fanout ${fanout} has more than ${NODES_MAX} nodes, which is the most`,
      );
  }
  return nodes;
}

/** @throws ParameterError for a tree of too many nodes. */
export function treeScenarios(quick: boolean, parameters: Parameters): readonly Scenario[] {
  if (parameters.depth !== undefined || parameters.fanout !== undefined) {
    const { depth = 1, fanout = 1 } = parameters;
    const nodes = countNodes(depth, fanout);
    return [false, true].map((isScattered) =>
      scenario(
        `depth ${depth}, fanout ${fanout}`,
        { shape: "even", isScattered, nodes, fanout },
        { isWatched: isScattered, isJoined: false },
        { depth, fanout },
      ),
    );
  }
  const sizes = quick ? [1000, 10_000] : [1000, 100_000, 1_000_000];
  return sizes.flatMap((nodes) =>
    KINDS.map(([shape, isScattered, isWatched]) =>
      scenario(
        shape,
        { shape, isScattered, nodes },
        { isWatched: isWatched && nodes === sizes.at(-1), isJoined: !isScattered && nodes === sizes[0] },
      ),
    ),
  );
}
