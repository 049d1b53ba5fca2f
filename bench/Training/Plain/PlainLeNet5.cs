using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Cluster.Bench.Training.Plain;

/// <summary>LeCun 1998, section II.B, with plain tanh, subsampling that is not trained, and a linear output.</summary>
internal sealed class PlainLeNet5 : Module<Tensor, Tensor>
{
    private readonly Conv2d conv1, conv2;
    private readonly AvgPool2d pool = AvgPool2d(2);
    private readonly Linear fc1 = Linear(400, 120), fc2 = Linear(120, 84), fc3;

    public PlainLeNet5(int channels, int classes)
        : base("lenet5")
    {
        conv1 = Conv2d(channels, 6, 5, padding: 2);
        conv2 = Conv2d(6, 16, 5);
        fc3 = Linear(84, classes);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        x = pool.call(tanh(conv1.call(x)));
        x = pool.call(tanh(conv2.call(x))).flatten(1);
        return fc3.call(tanh(fc2.call(tanh(fc1.call(x)))));
    }
}
