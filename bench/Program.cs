using System.CommandLine;
using Cluster.Bench.AllReduce;
using Cluster.Bench.Loader;
using Cluster.Bench.Memory;
using Cluster.Bench.Overlap;
using Cluster.Bench.Placement;
using Cluster.Bench.Runs;
using Cluster.Bench.Scaling;
using Cluster.Bench.Scheduling;
using Cluster.Bench.Search;
using Cluster.Bench.Training;
using Cluster.Bench.Training.Plain;
using Cluster.Bench.Zoo;

var root = new RootCommand("Measures this system beside what its users would run instead, in turn and in one run.")
{
    AllReduceVerb.Build(),
    AllReduceRank.Build(),
    ScalingVerb.Build(),
    UnitsRank.Build(),
    LoaderVerb.Build(),
    MemoryVerb.Build(),
    MemoryTrainer.Build(),
    PlacementVerb.Build(),
    RunsVerb.Build(),
    SchedulerVerb.Build(),
    SearchVerb.Build(),
    SearchRecordVerb.Build(),
    TrainVerb.Build(),
    TrainRank.Build(),
    PlainRank.Build(),
    OverlapVerb.Build(),
    ZooVerb.Build(),
    ZooTrainer.Build(),
};
// Interrupted, a verb ends what it started before it is ended itself.
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromMinutes(1) });
