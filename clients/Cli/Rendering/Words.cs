using System.Globalization;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Cli.Rendering;

/// <summary>Figures as people read them.</summary>
internal static class Words
{
    /// <summary>As many digits of an id as are shown in lists; any unique prefix is accepted back.</summary>
    public static string Short(string id) => id.Length > 8 ? id[..8] : id;

    /// <summary>"a,b,c,+57 more": the first, as many as fit into so many columns, but one at least; all where they fit.</summary>
    public static string Some(IEnumerable<string> names, int columns)
    {
        var all = names.ToList();
        var (shown, length) = (0, 0);
        while (shown < all.Count && (shown == 0 || length + 1 + all[shown].Length <= columns))
            length += all[shown++].Length + (shown > 1 ? 1 : 0);
        return string.Join(",", all.Take(shown)) + (shown < all.Count ? $",+{all.Count - shown} more" : "");
    }

    public static string Percent(double fraction) => (fraction * 100).ToString("F1", CultureInfo.InvariantCulture) + " %";

    public static string Loss(double loss) => loss.ToString("F4", CultureInfo.InvariantCulture);

    public static string Rate(double perSecond) => perSecond.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>"1.9 GiB", "528 MiB": bytes in the largest unit of which there is a whole one.</summary>
    public static string Bytes(long bytes) => bytes switch
    {
        >= 1L << 30 => (bytes / (double)(1L << 30)).ToString("F1", CultureInfo.InvariantCulture) + " GiB",
        >= 1L << 20 => (bytes / (double)(1L << 20)).ToString("F0", CultureInfo.InvariantCulture) + " MiB",
        _ => (bytes / 1024.0).ToString("F0", CultureInfo.InvariantCulture) + " KiB",
    };

    /// <summary>"2 cpu devices, about 1.9 GiB of memory a rank": what a job asks for, and what is known of its memory.</summary>
    public static string Takes(ResourceSpec resources, MemoryEstimate? memory)
    {
        var kind = resources.DeviceKind is DeviceKind.Cpu or DeviceKind.Cuda ? $"{resources.DeviceKind} ".ToLowerInvariant() : "";
        var range = resources.MinDevices > 0 ? $"{resources.MinDevices} to " : "";
        var devices = $"{range}{resources.Devices} {kind}{(resources.Devices == 1 ? "device" : "devices")}";
        return memory is null ? devices : $"{devices}, about {Bytes(memory.Total)} of memory a rank";
    }

    public static string Length(TimeSpan time) => time switch
    {
        { TotalSeconds: < 0 } => "0s",
        { TotalMinutes: < 1 } => $"{time.Seconds}s",
        { TotalHours: < 1 } => $"{time.Minutes}m {time.Seconds:00}s",
        { TotalDays: < 1 } => $"{time.Hours}h {time.Minutes:00}m",
        _ => $"{(int)time.TotalDays}d {time.Hours:00}h",
    };

    /// <summary>How long the job has run, or ran; null before it starts.</summary>
    public static TimeSpan? RunTime(Timestamp? started, Timestamp? finished, TimeProvider time) => started is null
        ? null
        : (finished?.ToDateTimeOffset() ?? time.GetUtcNow()) - started.ToDateTimeOffset();

    /// <summary>"once", "3 times".</summary>
    public static string Times(int count) => count == 1 ? "once" : $"{count} times";

    /// <summary>"12.0 device-minutes".</summary>
    public static string DeviceTime(double seconds) => seconds < 3600
        ? (seconds / 60).ToString("F1", CultureInfo.InvariantCulture) + " device-minutes"
        : (seconds / 3600).ToString("F1", CultureInfo.InvariantCulture) + " device-hours";

    public static string Clock(Timestamp? time) =>
        time?.ToDateTimeOffset().ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture) ?? "";

    /// <summary>"worker-1 cpu:0, worker-2 cpu:0", in rank order.</summary>
    public static string Where(IEnumerable<DevicePlacement> placement) =>
        string.Join(", ", placement.OrderBy(rank => rank.Rank).Select(rank => $"{rank.NodeName} {rank.Device}"));

    /// <summary>"2/5": the epoch under way.</summary>
    /// <summary>"position 3"; the line is counted only so far: "position 1000 or later".</summary>
    public static string Position(QueueStanding queue) => $"position {queue.Position}{(queue.OrLater ? " or later" : "")}";

    public static string Epoch(Progress progress) => Of(progress.Epoch, progress.Epochs);

    /// <summary>"312/2150"; the first alone where the total is not known.</summary>
    public static string Of(long done, long all) => all > 0 ? $"{done}/{all}" : $"{done}";

    /// <summary>"epoch 2/5, step 312/2150, loss 0.4312, accuracy 84.1 %, validation 86.0 %, 8,512 images/s": what is known of it.</summary>
    public static string Figures(Progress? progress)
    {
        if (progress is null || (progress.Step == 0 && progress.Steps == 0))
            return "";
        var parts = new List<string>();
        // A job without training counts batches and no epochs.
        if (progress.Epochs > 0 || progress.Epoch > 0)
            parts.Add($"epoch {Epoch(progress)}");
        parts.Add($"step {Of(progress.Step, progress.Steps)}");
        if (progress.HasTrainLoss)
            parts.Add($"loss {Loss(progress.TrainLoss)}");
        if (progress.HasTrainAccuracy)
            parts.Add($"accuracy {Percent(progress.TrainAccuracy)}");
        if (progress.HasValidationAccuracy)
            parts.Add($"validation {Percent(progress.ValidationAccuracy)}");
        if (progress.HasTestAccuracy)
            parts.Add($"test {Percent(progress.TestAccuracy)}");
        if (progress.HasSamplesPerSecond)
            parts.Add($"{Rate(progress.SamplesPerSecond)} images/s");
        return string.Join(", ", parts);
    }
}
