"""When layers that are filled from outside change."""

import neurosim
from neurosim.plan import Schedule
from neurosim.plan.schedules import layer_schedule

HEAD = 'HyPerCol "column" = { nx = 128; ny = 16; dt = 2; stopTime = 100; };\n'


def test_names_from_a_list_are_shown_for_their_own_display_period(tmp_path):
    (tmp_path / "names.txt").write_text("Ada\nGrace\nMary\n")
    text = HEAD + 'NameLayer "Name" = { namesPath = "names.txt"; displayPeriod = 20; };'
    experiment = neurosim.loads(text, tmp_path)
    when = layer_schedule(experiment.network, "Name")
    assert when == Schedule(1, 10)
    net = neurosim.Simulation(experiment)
    pictures = [net.run(1).activity("Name") for _ in range(21)]
    assert (pictures[0] == pictures[9]).all()
    assert (pictures[9] != pictures[10]).any()
    assert (pictures[10] != pictures[20]).any()


def test_names_of_pictures_follow_the_pictures():
    text = (
        HEAD
        + 'ImageLayer "Face" = { nf = 3; inputPath = "synthetic-faces"; displayPeriod = 20; };\n'
        + 'NameLayer "Name" = { labelSource = "Face"; };'
    )
    network = neurosim.loads(text).network
    assert layer_schedule(network, "Name") == layer_schedule(network, "Face") == Schedule(1, 10)
