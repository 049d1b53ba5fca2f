using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Cluster.Worker.Collectives;

/// <summary>
/// The last operations of a group, to be read after a failure: what this rank did, in which order, and what it was still at.
/// </summary>
internal sealed class FlightRecorder(int capacity)
{
    private readonly Lock gate = new();
    private readonly Entry[] entries = new Entry[capacity];
    private long begun;

    /// <returns>What <see cref="End"/> wants to know.</returns>
    public long Begin(in Operation operation, int? peer)
    {
        lock (gate)
        {
            entries[begun % entries.Length] = new Entry(operation, peer, Stopwatch.GetTimestamp(), 0, Failed: false);
            return begun++;
        }
    }

    public void End(long entry, bool failed)
    {
        lock (gate)
        {
            if (begun - entry <= entries.Length)
                entries[entry % entries.Length] = entries[entry % entries.Length] with { Ended = Stopwatch.GetTimestamp(),
                    Failed = failed };
        }
    }

    /// <summary>A line an operation, oldest first.</summary>
    public string Read()
    {
        lock (gate)
        {
            var now = Stopwatch.GetTimestamp();
            var text = new StringBuilder();
            for (var i = Math.Max(0, begun - entries.Length); i < begun; i++)
                text.Append(entries[i % entries.Length].Line(now)).Append('\n');
            return text.ToString();
        }
    }

    private readonly record struct Entry(Operation Operation, int? Peer, long Started, long Ended, bool Failed)
    {
        public string Line(long now) => string.Create(
            CultureInfo.InvariantCulture,
            $"{Stopwatch.GetElapsedTime(Started, now).TotalSeconds:0.000} s ago: "
                + $"{Operation.Number} '{Operation.Name}' {Operation.Words(Operation.Signature, Operation.Bytes)}{With} {Outcome(now)}");

        private string With => Peer is { } peer ? FormattableString.Invariant($", with rank {peer}") : "";

        private string Outcome(long now) => Ended == 0
            ? FormattableString.Invariant($"under way for {Stopwatch.GetElapsedTime(Started, now).TotalSeconds:0.000} s")
            : FormattableString.Invariant(
                $"{(Failed ? "failed" : "done")} after {Stopwatch.GetElapsedTime(Started, Ended).TotalMilliseconds:0.000} ms");
    }
}
