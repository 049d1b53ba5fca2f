using Cluster.Contracts.Access;
using Cluster.Worker.Agent;
using Cluster.Worker.Data.Packing;
using Cluster.Worker.Describing;
using Cluster.Worker.Trainer;

DirectLoopback.Install();
return args switch
{
    ["agent", .. var settings] => await AgentHost.RunAsync(settings),
    ["pack", .. var arguments] => PicturePacker.RunProcess(arguments),
    ["describe"] => ModelDescriber.RunProcess(),
    ["trainer", ..] => await TrainerHost.RunProcessAsync(new TrainingSession()),
    _ => Usage(),
};

static int Usage()
{
    const int usageExit = 64; // EX_USAGE
    Console.Error.WriteLine(
        "usage: Cluster.Worker agent [--Agent:Setting=value …]   (the agent starts its trainers and other processes itself)");
    Console.Error.WriteLine($"       Cluster.Worker pack {PackOrder.Usage}");
    return usageExit;
}
