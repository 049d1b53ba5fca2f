using System.Globalization;
using System.Text;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Queues;

/// <summary>Queues as people read them.</summary>
internal static class QueueText
{
    public static ColumnTable Table(IEnumerable<QueueStatus> queues)
    {
        var table = new ColumnTable("QUEUE", "PARENT", "WEIGHT", "QUOTA", "USED", "WAITING", "RUNNING");
        foreach (var status in queues)
        {
            var queue = status.Queue;
            table.Add(
                queue.Name, queue.Parent, Weight(queue), Counts(queue.Quotas, quota => quota.HasNominal ? quota.Nominal : null),
                Used(status), $"{status.WaitingJobs}{(status.MoreWaiting ? "+" : "")}", $"{status.RunningJobs}");
        }

        return table;
    }

    public static string Describe(QueueStatus status)
    {
        var (queue, text) = (status.Queue, new StringBuilder());
        Add("queue", queue.Name);
        Add("parent", queue.Parent);
        Add("weight", Weight(queue));
        Add("quota", Counts(queue.Quotas, quota => quota.HasNominal ? quota.Nominal : null));
        Add("borrows", Counts(queue.Quotas, quota => quota.HasBorrowingLimit ? quota.BorrowingLimit : null));
        Add("lends", Counts(queue.Quotas, quota => quota.HasLendingLimit ? quota.LendingLimit : null));
        Add("an owner", Counts(queue.Quotas, quota => quota.HasOwnerLimit ? quota.OwnerLimit : null));
        Add("used", Used(status));
        Add("waiting", status.MoreWaiting ? $"more than {Jobs(status.WaitingJobs)}" : Jobs(status.WaitingJobs));
        Add("running", Jobs(status.RunningJobs));
        return text.ToString();

        void Add(string key, string value)
        {
            if (value.Length > 0)
                text.Append(key.PadRight(10)).Append(Printable.OneLine(value)).Append('\n');
        }
    }

    public static string Describe(GetAccuracyResponse accuracy) => accuracy.Jobs == 0 ? "no job has started yet of which it was forecast\n"
        : $"""
        jobs                                     {accuracy.Jobs}
        within a minute, or a tenth of the wait  {Words.Percent(accuracy.Close)}
        within ten minutes                       {Words.Percent(accuracy.WithinTenMinutes)}
        started by the likely time               {Words.Percent(accuracy.ByLikely)} (of 50.0 %)
        started by the late time                 {Words.Percent(accuracy.ByLate)} (of 90.0 %)
        median error                             {Words.Length(TimeSpan.FromSeconds(accuracy.MedianErrorSeconds))}

        """;

    private static string Jobs(int count) => count == 1 ? "1 job" : $"{count} jobs";

    private static string Weight(Queue queue) => queue.Weight.ToString("0.###", CultureInfo.InvariantCulture);

    private static string Used(QueueStatus status) => string.Join(", ", status.Used.Select(used => $"{used.Devices} {Word(used.Kind)}"));

    private static string Counts(IEnumerable<DeviceQuota> quotas, Func<DeviceQuota, int?> count) =>
        string.Join(", ", quotas.Where(quota => count(quota) is not null).Select(quota => $"{count(quota)} {Word(quota.Kind)}"));

    private static string Word(DeviceKind kind) => kind.ToString().ToLowerInvariant();
}
