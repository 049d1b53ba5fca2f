using Cluster.Worker.Agent;
using Cluster.Worker.Training;

return args switch
{
    ["agent", .. var settings] => await AgentHost.RunAsync(settings),
    ["trainer", ..] => await TrainerHost.RunProcessAsync(new TrainingSession()),
    _ => Usage(),
};

static int Usage()
{
    const int usageExit = 64; // EX_USAGE
    Console.Error.WriteLine("usage: Cluster.Worker agent [--Agent:Setting=value …]   (trainers are started by the agent)");
    return usageExit;
}
