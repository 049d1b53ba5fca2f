using System.Globalization;
using Cluster.Worker.Devices;

namespace Cluster.Worker.Agent;

/// <summary>A note in the state folder of each running trainer, so that an agent that was killed leaves none behind.</summary>
/// <remarks>Trainers end by themselves when their agent does; this is for one that hangs in a driver or was stopped.</remarks>
internal sealed partial class TrainerNotes(AgentIdentity identity, ILogger<TrainerNotes> logger)
{
    private readonly string _folder = Path.Combine(identity.StateFolder, "trainers");

    public void Add(TrainerProcess process)
    {
        if (process.StartTicks is not { } startTicks)
            return;
        Directory.CreateDirectory(_folder);
        File.WriteAllText(Note(process.Id), startTicks.ToString(CultureInfo.InvariantCulture));
    }

    public void Remove(TrainerProcess process) => File.Delete(Note(process.Id));

    /// <summary>Kills what the agent before this one left running. A number that another process has now is left alone.</summary>
    public void KillLeftovers()
    {
        foreach (var note in Directory.Exists(_folder) ? Directory.GetFiles(_folder) : [])
        {
            if (int.TryParse(Path.GetFileName(note), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                && long.TryParse(File.ReadAllText(note), NumberStyles.None, CultureInfo.InvariantCulture, out var startTicks)
                && ProcessTimes.TryRead(id)?.StartTicks == startTicks
                && Libc.TrySignal(id, Libc.Sigkill))
            {
                LogKilled(id);
            }

            File.Delete(note);
        }
    }

    private string Note(int id) => Path.Combine(_folder, id.ToString(CultureInfo.InvariantCulture));

    [LoggerMessage(Level = LogLevel.Warning, Message = "Killed process {ProcessId}, a trainer that the agent's earlier incarnation left behind")]
    private partial void LogKilled(int processId);
}
