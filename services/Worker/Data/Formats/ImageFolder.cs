using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Training;

namespace Cluster.Worker.Data.Formats;

/// <summary><c>train/CLASS/*.jpg</c>, <c>.jpeg</c> or <c>.png</c>, likewise <c>val</c> and, perhaps, <c>test</c>: the layout of torchvision's ImageFolder.</summary>
/// <remarks>Classes are numbered by their folders' names in <c>train</c>, in ordinal order. Only the names are kept in memory.</remarks>
public sealed class ImageFolder : EncodedPart
{
    private static readonly string[] Extensions = [".jpg", ".jpeg", ".png"];

    private readonly string folder;
    private readonly IReadOnlyList<string> classes;
    private readonly (int Class, string File)[] samples;

    private ImageFolder(string folder, int channels, IReadOnlyList<string> classes, (int Class, string File)[] samples)
        : base(channels)
    {
        this.folder = folder;
        this.classes = classes;
        this.samples = samples;
    }

    public override int Count => samples.Length;

    public override int Label(int sample) => samples[sample].Class;

    public static bool IsIn(string folder) => Directory.Exists(Path.Combine(folder, "train")) && Directory.Exists(Path.Combine(folder, "val"));

    /// <summary>Training, validation and test parts.</summary>
    /// <param name="dataRoot">Of the node.</param>
    /// <param name="name">A folder there.</param>
    /// <param name="classes">That the job says there are.</param>
    /// <param name="channels">1 or 3.</param>
    /// <exception cref="DataSetException">Missing, or empty, or links lead out of it.</exception>
    /// <exception cref="JobMisconfiguredException">There are not so many classes.</exception>
    public static (ImagePart Train, ImagePart Validation, ImagePart Test) Open(string dataRoot, string name, int classes, int channels)
    {
        var folder = DataFolder.Open(dataRoot, name);
        if (!IsIn(folder))
            throw new DataSetException($"{folder} has no folders train and val; put a folder of pictures for each class into both");
        var names = Subfolders(dataRoot, Path.Combine(folder, "train"));
        if (names.Count != classes)
            throw new JobMisconfiguredException($"data.classes is {classes} but {folder}/train has {names.Count} class folders; make them equal");
        return (Part("train"), Part("val"), Directory.Exists(Path.Combine(folder, "test")) ? Part("test") : new ImageFolder(folder, channels, names, []));

        ImageFolder Part(string part) => Scan(dataRoot, Path.Combine(folder, part), names, channels);
    }

    protected override string Name(int sample) => Path.Combine(folder, classes[samples[sample].Class], samples[sample].File);

    protected override Memory<byte> Read(int sample, PictureBuffers buffers) => ReadFrom(Name(sample), 0, null, buffers);

    private static ImageFolder Scan(string dataRoot, string folder, List<string> classes, int channels)
    {
        foreach (var unknown in Subfolders(dataRoot, folder).Except(classes))
            throw new DataSetException($"{folder}/{unknown} is a class that the training part has not; add it there or remove it");
        var samples = new List<(int Class, string File)>();
        for (var c = 0; c < classes.Count; c++)
        {
            var path = new DirectoryInfo(Path.Combine(folder, classes[c]));
            if (!path.Exists)
                continue;
            var before = samples.Count;
            foreach (var file in path.EnumerateFiles().Where(file => Extensions.Contains(file.Extension.ToLowerInvariant())))
            {
                DataFolder.RequireWithin(dataRoot, file);
                samples.Add((c, file.Name));
            }

            samples.Sort(before, samples.Count - before, Comparer<(int Class, string File)>.Create((a, b) => string.CompareOrdinal(a.File, b.File)));
        }

        if (samples.Count == 0)
            throw new DataSetException($"{folder} has no pictures; its class folders need files that end in {string.Join(", ", Extensions)}");
        return new ImageFolder(folder, channels, classes, Mixed(samples));
    }

    private static List<string> Subfolders(string dataRoot, string folder)
    {
        DataFolder.RequireWithin(dataRoot, new DirectoryInfo(folder));
        var names = new List<string>();
        foreach (var subfolder in new DirectoryInfo(folder).EnumerateDirectories().Where(subfolder => subfolder.Name[0] != '.'))
        {
            DataFolder.RequireWithin(dataRoot, subfolder);
            names.Add(subfolder.Name);
        }

        names.Sort(StringComparer.Ordinal);
        return names;
    }
}
