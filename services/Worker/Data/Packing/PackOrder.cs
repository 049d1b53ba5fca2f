using System.Globalization;

namespace Cluster.Worker.Data.Packing;

/// <summary>What is to be packed, and how.</summary>
/// <param name="Folder">With <c>train/CLASS/</c> and <c>val/CLASS/</c>.</param>
/// <param name="Output">A folder that is not there yet.</param>
/// <param name="Side">Pixels a side of what is kept of each picture: its middle, after its shorter side has been resized to this.</param>
/// <param name="ShardMib">That a file takes at most, but for one picture.</param>
/// <param name="Channels">1 for grey, 3 for colour.</param>
internal sealed record PackOrder(string Folder, string Output, int Side, int ShardMib, int Channels)
{
    /// <summary>Of 224 pixels, which networks take, random crops leave this much; the usual size of ImageNet when it is packed.</summary>
    public const int DefaultSide = 256;

    /// <summary>Large enough for long reads, small enough to copy again.</summary>
    public const int DefaultShardMib = 1024;

    public const string Usage = "FOLDER OUTPUT [--size PIXELS] [--shard-mib MIB] [--grey]";

    /// <exception cref="FormatException">They cannot be; the message says which one and what it may be.</exception>
    public static PackOrder Parse(IReadOnlyList<string> arguments)
    {
        var (paths, side, shardMib, channels) = (new List<string>(), DefaultSide, DefaultShardMib, 3);
        for (var i = 0; i < arguments.Count; i++)
        {
            switch (arguments[i])
            {
                case "--size":
                    side = Whole(arguments, ref i, 8, 4096);
                    break;
                case "--shard-mib":
                    shardMib = Whole(arguments, ref i, 1, 1 << 20);
                    break;
                case "--grey":
                    channels = 1;
                    break;
                case ['-', ..]:
                    throw new FormatException($"{arguments[i]} is no option of pack; usage: pack {Usage}");
                default:
                    paths.Add(arguments[i]);
                    break;
            }
        }

        return paths is [var folder, var output]
            ? new PackOrder(Path.GetFullPath(folder), Path.GetFullPath(output).TrimEnd('/'), side, shardMib, channels)
            : throw new FormatException($"pack takes a folder of pictures and an output, not {paths.Count} paths; usage: pack {Usage}");
    }

    private static int Whole(IReadOnlyList<string> arguments, ref int at, int least, int most)
    {
        var (name, text) = (arguments[at], at + 1 < arguments.Count ? arguments[at + 1] : "missing");
        at++;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most
            ? value
            : throw new FormatException($"{name} is {text} but must be a whole number from {least} to {most}");
    }
}
