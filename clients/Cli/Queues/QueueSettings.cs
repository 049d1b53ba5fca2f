using System.CommandLine;
using System.Globalization;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Queues;

/// <summary>The options by which a queue is declared.</summary>
internal sealed class QueueSettings
{
    private const string None = "none";

    private readonly Option<string?> _parent = new("--parent")
    {
        Description = $"its share comes out of this queue's; {None}: out of the cluster",
        HelpName = "QUEUE",
    };

    private readonly Option<double?> _weight = new("--weight")
    {
        Description = "how much of what is left beyond quotas it gets, against its siblings' weights",
        HelpName = "NUMBER",
    };

    private readonly Option<string[]> _quota = Counts("--quota", "devices that it gets whenever its first job asks for them");
    private readonly Option<string[]> _borrow = Counts("--borrow", "the most devices beyond its quota");
    private readonly Option<string[]> _lend = Counts("--lend", "the most devices of its quota that others may use");
    private readonly Option<string[]> _owner = Counts("--owner-limit", "the most devices that one owner's jobs hold in it");

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _parent, _weight, _quota, _borrow, _lend, _owner })
            command.Options.Add(option);
    }

    /// <summary>Writes what is given into the queue.</summary>
    public void Apply(ParseResult arguments, Queue queue)
    {
        if (arguments.GetValue(_parent) is { } parent)
            queue.Parent = parent == None ? "" : parent;
        if (arguments.GetValue(_weight) is { } weight)
            queue.Weight = weight;
        Set(_quota, (quota, count) => quota.Nominal = count, quota => quota.ClearNominal());
        Set(_borrow, (quota, count) => quota.BorrowingLimit = count, quota => quota.ClearBorrowingLimit());
        Set(_lend, (quota, count) => quota.LendingLimit = count, quota => quota.ClearLendingLimit());
        Set(_owner, (quota, count) => quota.OwnerLimit = count, quota => quota.ClearOwnerLimit());
        foreach (var empty in queue.Quotas.Where(IsEmpty).ToList())
            queue.Quotas.Remove(empty);

        void Set(Option<string[]> option, Action<DeviceQuota, int> set, Action<DeviceQuota> clear)
        {
            foreach (var text in arguments.GetValue(option) ?? [])
            {
                var (kind, count) = Read(option.Name, text);
                var quota = queue.Quotas.FirstOrDefault(quota => quota.Kind == kind);
                if (quota is null)
                    queue.Quotas.Add(quota = new DeviceQuota { Kind = kind });
                if (count is { } number)
                    set(quota, number);
                else
                    clear(quota);
            }
        }
    }

    private static bool IsEmpty(DeviceQuota quota) =>
        !quota.HasNominal && !quota.HasBorrowingLimit && !quota.HasLendingLimit && !quota.HasOwnerLimit;

    private static (DeviceKind Kind, int? Count) Read(string option, string text)
    {
        if (text.Split('=') is [var word, var number] && word is "cpu" or "cuda")
        {
            var kind = word == "cpu" ? DeviceKind.Cpu : DeviceKind.Cuda;
            if (number == None)
                return (kind, null);
            if (int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var count))
                return (kind, count);
        }

        throw new CliException(
            ExitCode.Usage,
            $"{option} is {text} but must be a kind of device and a number; write it as cuda=4, or cuda={None} to take it away");
    }

    private static Option<string[]> Counts(string name, string what) => new(name)
    {
        Description = $"{what}, as cpu=4 or cuda=8; {None} for the number takes it away; may be given for each kind",
        HelpName = "KIND=N",
    };
}
