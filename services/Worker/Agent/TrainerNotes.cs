using System.Globalization;
using Cluster.Worker.Devices;

namespace Cluster.Worker.Agent;

/// <summary>A note in the state folder of each running trainer, so that an agent that was killed leaves none behind.</summary>
/// <remarks>
/// Trainers end by themselves when their agent does; this is for one that hangs in a driver or was stopped. So a note that cannot be
/// written or removed is told, and neither ends a trainer nor keeps its exit from being reported.
/// </remarks>
internal sealed partial class TrainerNotes(AgentIdentity identity, ILogger<TrainerNotes> logger)
{
    private readonly string _folder = Path.Combine(identity.StateFolder, "trainers");

    // Told once: a full disk fails at each start.
    private int _cannotWrite;
    private int _cannotRemove;

    public void Add(TrainerProcess process)
    {
        if (process.StartTicks is not { } startTicks)
            return;
        try
        {
            Directory.CreateDirectory(_folder);
            File.WriteAllText(Note(process.Id), startTicks.ToString(CultureInfo.InvariantCulture));
            if (Interlocked.Exchange(ref _cannotWrite, 0) != 0)
                LogWritesAgain();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (Interlocked.Exchange(ref _cannotWrite, 1) == 0)
                LogCannotWrite(process.Id, e.Message, identity.StateFolder);
        }
    }

    public void Remove(TrainerProcess process) => Remove(Note(process.Id));

    /// <summary>Kills what the agent before this one left running. A number that another process has now is left alone.</summary>
    public void KillLeftovers()
    {
        try
        {
            foreach (var note in Directory.Exists(_folder) ? Directory.GetFiles(_folder) : [])
                KillLeftover(note);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogCannotRead(_folder, e.Message);
        }
    }

    private void KillLeftover(string note)
    {
        string text;
        try
        {
            text = File.ReadAllText(note);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogCannotRead(note, e.Message);
            return;
        }

        if (int.TryParse(Path.GetFileName(note), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var startTicks)
            && ProcessTimes.TryRead(id)?.StartTicks == startTicks
            && Libc.TrySignal(id, Libc.Sigkill))
        {
            LogKilled(id);
        }

        Remove(note);
    }

    private void Remove(string note)
    {
        try
        {
            File.Delete(note);
        }
        catch (DirectoryNotFoundException)
        {
            // The whole folder is gone, and the note with it.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (Interlocked.Exchange(ref _cannotRemove, 1) == 0)
                LogCannotRemove(note, e.Message);
        }
    }

    private string Note(int id) => Path.Combine(_folder, id.ToString(CultureInfo.InvariantCulture));

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Killed process {ProcessId}, a trainer that the agent's earlier incarnation left behind")]
    private partial void LogKilled(int processId);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "No note of trainer {ProcessId} can be written ({Reason}). It trains on, and ends with this agent; "
            + "but if the agent is killed while a trainer hangs, "
        + "the next start will not know that trainer and not end it. Free space in Agent:StateFolder, {StateFolder}, or make it writable")]
    private partial void LogCannotWrite(int processId, string reason, string stateFolder);

    [LoggerMessage(Level = LogLevel.Information, Message = "Notes of trainers can be written again")]
    private partial void LogWritesAgain();

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "{Note} cannot be read ({Reason}), which tells of a trainer that the agent's earlier incarnation may have left behind: "
        + "if it hangs, it holds its device; the agent's next start looks again")]
    private partial void LogCannotRead(string note, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "The note {Note} of a trainer that has ended cannot be removed ({Reason}). No process is taken for that trainer later, "
            + "since the note holds its start time; "
        + "the agent's next start removes it")]
    private partial void LogCannotRemove(string note, string reason);
}
