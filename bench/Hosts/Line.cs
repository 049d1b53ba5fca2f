using System.Collections.Concurrent;
using System.Diagnostics;

namespace Cluster.Bench.Hosts;

/// <summary>A long, bad line between two interfaces, for kernels without netem: frames arrive late and in order, or not at all.</summary>
internal sealed class Line : IDisposable
{
    private const int LargestFrame = 1 << 16;

    private readonly Tap[] _ends;
    private readonly List<Thread> _threads = [];

    /// <param name="ends">Two; they become this line's.</param>
    /// <param name="quality">The same in both directions.</param>
    /// <param name="seed">Of which frames are lost.</param>
    public Line(Tap[] ends, LineQuality quality, int seed)
    {
        _ends = ends;
        for (var from = 0; from < 2; from++)
        {
            var (source, sink) = (ends[from], ends[1 - from]);
            var underWay = new BlockingCollection<(long Due, byte[] Frame)>();
            var losses = new Random(seed + from);
            Start(() => Take(source, underWay, quality, losses));
            Start(() => Deliver(sink, underWay));
        }
    }

    /// <summary>Once the interfaces are gone, or when nothing is to pass any more.</summary>
    public void Dispose()
    {
        foreach (var thread in _threads)
            thread.Join();
        foreach (var end in _ends)
            end.Dispose();
    }

    private static void Take(Tap source, BlockingCollection<(long Due, byte[] Frame)> underWay, LineQuality quality, Random losses)
    {
        var delay = (long)(quality.Delay.TotalSeconds * Stopwatch.Frequency);
        var buffer = new byte[LargestFrame];
        while (source.Read(buffer) is > 0 and var bytes)
        {
            if (losses.NextDouble() >= quality.Loss)
                underWay.Add((Stopwatch.GetTimestamp() + delay, buffer[..bytes]));
        }

        underWay.CompleteAdding();
    }

    private static void Deliver(Tap sink, BlockingCollection<(long Due, byte[] Frame)> underWay)
    {
        foreach (var (due, frame) in underWay.GetConsumingEnumerable())
        {
            for (var left = due - Stopwatch.GetTimestamp(); left > 0; left = due - Stopwatch.GetTimestamp())
                Thread.Sleep(TimeSpan.FromMilliseconds(Math.Ceiling(left * 1000.0 / Stopwatch.Frequency)));
            sink.Write(frame);
        }
    }

    private void Start(Action work)
    {
        var thread = new Thread(() => work()) { IsBackground = true, Name = "line" };
        _threads.Add(thread);
        thread.Start();
    }
}
