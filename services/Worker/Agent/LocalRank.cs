using System.Threading.Channels;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Agent;

/// <summary>One rank of an attempt on this node: its process, and what passes between it and the agent.</summary>
internal sealed class LocalRank(RankKey key, string device, TrainerProcess process, int maxReports)
{
    // The trainer attaches some time after its start; what was said before then waits here.
    private readonly Channel<AgentSignal> _signals = Channel.CreateUnbounded<AgentSignal>();
    private volatile string _endedBecause = "";
    private volatile string _fault = "";
    private volatile bool _evicted;
    private bool _started;

    public RankKey Key => key;

    public string Device => device;

    public TrainerProcess Process => process;

    public ReportSpool Reports { get; } = new(maxReports);

    /// <summary>What the trainer is to be told; completed when it ends.</summary>
    public ChannelReader<AgentSignal> Signals => _signals.Reader;

    public bool HasEnded => process.Ended.IsCompleted;

    /// <summary>Why the agent killed it, or empty.</summary>
    public string KilledBecause => _endedBecause;

    /// <summary>The agent's own shutdown ended it, or was about to: whatever the exit code, it did not fail.</summary>
    public bool IsEvicted => _evicted;

    /// <summary>The trainer's own last word, or empty.</summary>
    public string Fault
    {
        get => _fault;
        set => _fault = value;
    }

    /// <summary>It trains.</summary>
    /// <returns>False if that was known.</returns>
    public bool TrySetStarted() => !Interlocked.Exchange(ref _started, true);

    public void Signal(AgentSignal signal) => _signals.Writer.TryWrite(signal);

    /// <summary>The agent ends. Changes nothing once the process has ended.</summary>
    public void Evict() => _evicted |= !HasEnded;

    public void Kill(string reason)
    {
        if (HasEnded)
            return;
        if (_endedBecause.Length == 0)
            _endedBecause = reason;
        process.Kill();
    }

    /// <summary>After the process's end.</summary>
    public void Close()
    {
        _signals.Writer.TryComplete();
        Reports.Complete();
    }
}
