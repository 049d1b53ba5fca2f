using Cluster.Models.Layers;

namespace Cluster.Models.AlexNet;

/// <summary>Every size of an AlexNet, worked out from its options. Channel counts are those of one tower; the net has two.</summary>
public sealed record AlexNetShape
{
    /// <summary>The two cards of 2012.</summary>
    public const int Towers = 2;

    private AlexNetShape(
        ClassifierShape classifier, double width, double dropout, DropoutForm dropoutForm, bool normalize, bool overlaps, string init)
    {
        Classifier = classifier;
        Dropout = dropout;
        DropoutForm = dropoutForm;
        PoolWindow = overlaps ? 3 : 2;
        Normalize = normalize;
        Init = init;
        Stem = Stem.For(classifier.InputSize);
        (Conv1, Conv2, Conv3, Conv4, Conv5) = (Scaled(48), Scaled(128), Scaled(192), Scaled(192), Scaled(128));
        (Fc6, Fc7) = (Scaled(2048), Scaled(2048));
        Pool5Size = Pooled(Pooled(Pooled(Stem.OutputSize)));

        int Scaled(int channels) => Math.Max(1, (int)Math.Round(channels * width));
    }

    public ClassifierShape Classifier { get; }

    public double Dropout { get; }

    public DropoutForm DropoutForm { get; }

    /// <summary>Height and width of what a pooling sees; the next one is two pixels on. 3 overlaps (§3.4), 2 does not.</summary>
    public int PoolWindow { get; }

    /// <summary>Whether conv1 and conv2 are followed by local response normalisation.</summary>
    public bool Normalize { get; }

    /// <summary>"paper" or "he".</summary>
    public string Init { get; }

    public Stem Stem { get; }

    public int Conv1 { get; }

    public int Conv2 { get; }

    public int Conv3 { get; }

    public int Conv4 { get; }

    public int Conv5 { get; }

    /// <summary>Height and width of the last pooling's output: 6 for ImageNet.</summary>
    public int Pool5Size { get; }

    public int Fc6 { get; }

    public int Fc7 { get; }

    /// <summary>Reads the options <c>inputSize channels classes width dropout dropoutForm lrn pooling init</c>.</summary>
    public static AlexNetShape Read(ModelOptions options)
    {
        var inputSize = options.Whole("inputSize", 224, 28, 224);
        if (inputSize is > 64 and < 224)
            throw options.Wrong("inputSize", inputSize, "give 224, or 28 to 64 for the reduced stem");
        var channels = options.Whole("channels", 3, 1, 16);
        var classes = options.Whole("classes", 1000, 2, 100_000);
        var shape = new AlexNetShape(
            new ClassifierShape(channels, inputSize, classes),
            options.Number("width", 1, "more than 0 and at most 1", width => width is > 0 and <= 1),
            options.Number("dropout", 0.5, "at least 0 and less than 1", dropout => dropout is >= 0 and < 1),
            CommonOptions.DropoutForm(options),
            options.Flag("lrn", true),
            options.Choice("pooling", "overlapping", "plain") == "overlapping",
            options.Choice("init", "paper", "he"));
        options.EnsureAllRead();
        return shape;
    }

    private int Pooled(int size) => ((size - PoolWindow) / 2) + 1;
}

/// <summary>The first convolution: how far the image shrinks before the rest of the net sees it.</summary>
/// <param name="PadBefore">Zeros left and above.</param>
/// <param name="PadAfter">Zeros right and below.</param>
/// <param name="Kernel">Height and width of the filters.</param>
/// <param name="Stride">Pixels between two applications.</param>
/// <param name="OutputSize">Height and width of conv1's output.</param>
public sealed record Stem(int PadBefore, int PadAfter, int Kernel, int Stride, int OutputSize)
{
    /// <summary>
    /// 224: the paper's 11×11/4. The paper's sizes need 227 = 224 + 3 pixels and it does not say where they lie: 1 before, 2 after.
    /// Small images: 5×5, stride 1 below 48 pixels and 2 from there on, so that the three poolings leave at least 2×2.
    /// </summary>
    public static Stem For(int inputSize) => inputSize switch
    {
        224 => new Stem(1, 2, 11, 4, 55),
        < 48 => new Stem(2, 2, 5, 1, inputSize),
        _ => new Stem(2, 2, 5, 2, ((inputSize - 1) / 2) + 1),
    };
}
