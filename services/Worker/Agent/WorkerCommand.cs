using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>The program that this node's other processes are: this one, or a wrapper around it.</summary>
internal sealed class WorkerCommand
{
    public WorkerCommand(IOptions<AgentOptions> options)
    {
        IReadOnlyList<string> whole = options.Value.TrainerCommand.Count > 0 ? options.Value.TrainerCommand : OfThisProcess();
        (Program, Arguments) = (whole[0], [.. whole.Skip(1)]);
    }

    public string Program { get; }

    /// <summary>Before those that say which kind of process it is.</summary>
    public IReadOnlyList<string> Arguments { get; }

    private static IReadOnlyList<string> OfThisProcess()
    {
        // Under `dotnet Cluster.Worker.dll` the process is dotnet, and the program its first argument.
        var process = Environment.ProcessPath
            ?? throw new InvalidOperationException("the system does not say which program this process runs");
        return Path.GetFileNameWithoutExtension(process) == "dotnet" ? [process, typeof(WorkerCommand).Assembly.Location] : [process];
    }
}
